"""GET and PUT /+readers: who may read which index, for root; `mirror init` declares it."""

from typing import Any

from devpi_server.views import apiresult, getjson

from mirror.plugin.access import readers
from mirror.plugin.admin import access


def install(pyramid_config: Any) -> None:
    """Add the address."""
    pyramid_config.add_route("packhorse readers", "/+readers")
    for method, view in (("GET", show), ("PUT", declare)):
        pyramid_config.add_view(view, route_name="packhorse readers", request_method=method)


@access.root_only
def show(request: Any) -> Any:
    """The users that may read, by the names of protected indexes."""
    return apiresult(200, result=dict(readers.declared(request.registry["xom"].keyfs)), type="readers")


@access.root_only
def declare(request: Any) -> Any:
    """Let these read, and nobody else. What nginx served of these indexes is gone before this is answered."""
    given = getjson(request)
    if not isinstance(given, dict) or not all(map(_is_names, given.values())):
        return apiresult(400, "readers are lists of names by the names of indexes")
    readers.declare(request.registry["xom"].keyfs, given)
    return apiresult(200, "declared who may read")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)

"""GET and PUT /+publishers: the publishers in force, for root; `mirror init` declares them."""

from typing import Any

from devpi_server.views import apiresult, getjson

from mirror.plugin.access import root_tokens
from mirror.plugin.admin import access
from mirror.plugin.publishing import declared, issuer_keys


def install(pyramid_config: Any) -> None:
    """Add the address."""
    pyramid_config.add_route("packhorse publishers", "/+publishers")
    for method, view in (("GET", show), ("PUT", declare)):
        pyramid_config.add_view(view, route_name="packhorse publishers", request_method=method)


@access.root_only
def show(request: Any) -> Any:
    """The publishers as mirror.toml has them."""
    return apiresult(200, result=dict(declared.settings(request.registry["xom"].keyfs)), type="publishers")


@access.root_only
def declare(request: Any) -> Any:
    """Put publishers in force; tokens of those that are not any more, or are changed, end at once."""
    xom, settings = request.registry["xom"], getjson(request)
    before = {publisher.owner for publisher in declared.read(xom.keyfs).publishers}
    try:
        declared.declare(xom.keyfs, settings)
        now = declared.read(xom.keyfs).publishers
        for text in {publisher.keys for publisher in now if publisher.keys}:
            issuer_keys.parse_text(text)
    except ValueError as error:
        xom.keyfs.tx.doom()
        return apiresult(400, str(error))
    for owner in before - {publisher.owner for publisher in now}:
        root_tokens.forget(xom.model.get_user(owner), root_tokens.PUBLISHING)
    return apiresult(200, "declared the publishers")

"""GET /+reserved, PUT and DELETE /+reserved/NAME: names that no upstream may fill, for administrators."""

import re
from typing import Any

from devpi_server.views import apiresult

from mirror.plugin import reservations
from mirror.plugin.admin import logins
from mirror.plugin.simple import filenames

# As _RESERVED of mirror/config.py has it.
_PATTERN = re.compile(r"[a-z0-9*?\[\]!-]{1,255}")


def install(pyramid_config: Any) -> None:
    """Add the addresses."""
    pyramid_config.add_route("packhorse reservations", "/+reserved")
    pyramid_config.add_route("packhorse reservation", "/+reserved/{name:[^/]+}")
    pyramid_config.add_view(show, route_name="packhorse reservations", request_method="GET")
    for method, view in (("PUT", reserve), ("DELETE", release)):
        pyramid_config.add_view(view, route_name="packhorse reservation", request_method=method)


@logins.root_only
def show(request: Any) -> Any:
    """All reservations: who made them, when, and on which index. Names of projects tell much."""
    return apiresult(200, result=reservations.records(request.registry["xom"].keyfs), type="reservations")


@logins.root_only
def reserve(request: Any) -> Any:
    """Reserve a name or pattern. Uploaders reserve what they upload, and nothing else."""
    name = reservations.normalize(request.matchdict["name"])
    if not (filenames.is_project(name) or (reservations.is_pattern(name) and _PATTERN.fullmatch(name))):
        return apiresult(400, "that is no name of a project, and no pattern of such names")
    reservations.reserve(request.registry["xom"].keyfs, name, by="root")
    return apiresult(200, f"reserved {name}")


@logins.root_only
def release(request: Any) -> Any:
    """Take a reservation back."""
    name = reservations.normalize(request.matchdict["name"])
    try:
        reservations.release(request.registry["xom"].keyfs, name, by="root")
    except KeyError:
        return apiresult(404, f"{name} is not reserved")
    return apiresult(200, f"released {name}")

"""GET /user/index/+first-seen/PROJECT: when this mirror first saw files, for its replicas."""

from typing import Any

from devpi_server.normalized import normalize_name
from devpi_server.views import apiresult
from pyramid.httpexceptions import HTTPNotFound

from mirror.plugin.simple import filenames
from mirror.plugin.upstream.file_records.first_seen import FirstSeen


def install(pyramid_config: Any, first_seen: FirstSeen) -> None:
    """Add the address."""

    def show(context: Any, request: Any) -> Any:
        project = normalize_name(request.matchdict["project"])
        if not filenames.is_project(project) or not request.has_permission("pkg_read"):
            raise HTTPNotFound("No such project.")
        return apiresult(200, result=dict(first_seen.times(context.stage.name, project)), type="first seen")

    pyramid_config.add_route(
        "packhorse first seen", "/{user:[^+/]+}/{index:[^+/]+}/+first-seen/{project:[^/]+}"
    )
    pyramid_config.add_view(show, route_name="packhorse first seen")

"""GET /+changed-files, DELETE /+changed-files/PATH: files that an upstream has changed, for root."""

from typing import Any

from devpi_server.views import apiresult

from mirror.plugin import pinned_hashes
from mirror.plugin.upstream.page_cache import PageCache


def install(pyramid_config: Any, pages: PageCache) -> None:
    """Add the addresses."""
    pyramid_config.add_route("packhorse changed files", "/+changed-files")
    pyramid_config.add_route("packhorse changed file", "/+changed-files/{path:.+}")
    pyramid_config.add_view(show, route_name="packhorse changed files", request_method="GET")

    def accept_file(request: Any) -> Any:
        return accept(pages, request)

    pyramid_config.add_view(accept_file, route_name="packhorse changed file", request_method="DELETE")


def show(request: Any) -> Any:
    """All files that were refused: both hashes, and when that was seen first."""
    if request.authenticated_userid != "root":
        return _forbidden(request)
    return apiresult(200, result=pinned_hashes.reported(request.registry["xom"].keyfs), type="changed files")


def accept(pages: PageCache, request: Any) -> Any:
    """Take the file that the upstream has now; the next request for its page shows it."""
    if request.authenticated_userid != "root":
        return _forbidden(request)
    path, xom = request.matchdict["path"], request.registry["xom"]
    try:
        pinned_hashes.accept(xom.keyfs, path)
    except KeyError:
        return apiresult(404, f"{path} is not among the files that were refused")
    user, index, project, _ = path.split("/")
    if stage := xom.model.getstage(user, index):
        stage.cache_retrieve_times.expire(project)
    pages.remove(f"{user}/{index}", project)
    return apiresult(200, f"accepted {path}")


def _forbidden(request: Any) -> Any:
    return apiresult(403 if request.authenticated_userid else 401, "only root may see and change this")

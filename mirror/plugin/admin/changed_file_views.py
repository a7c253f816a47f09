"""GET /+changed-files, DELETE /+changed-files/PATH: files that an upstream has changed, for root."""

from typing import Any

from devpi_server.views import apiresult

from mirror.plugin import pinned_hashes
from mirror.plugin.admin import logins
from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.page_cache import PageCache


def install(pyramid_config: Any, pages: PageCache) -> None:
    """Add the addresses."""
    pyramid_config.add_route("packhorse changed files", "/+changed-files")
    pyramid_config.add_route("packhorse changed file", "/+changed-files/{path:.+}")
    pyramid_config.add_view(show, route_name="packhorse changed files", request_method="GET")

    @logins.root_only
    def accept_file(request: Any) -> Any:
        return accept(pages, request)

    pyramid_config.add_view(accept_file, route_name="packhorse changed file", request_method="DELETE")


@logins.root_only
def show(request: Any) -> Any:
    """All files that were refused: both hashes, and when that was seen first."""
    return apiresult(200, result=pinned_hashes.reported(request.registry["xom"].keyfs), type="changed files")


def accept(pages: PageCache, request: Any) -> Any:
    """Take the file that the upstream has now; the next request for its page asks for it.

    Of the project's other files nothing is forgotten: one that was changed as well stays refused.
    """
    path, xom = request.matchdict["path"], request.registry["xom"]
    try:
        pinned_hashes.accept(xom.keyfs, path)
    except KeyError:
        return apiresult(404, f"{path} is not among the files that were refused")
    user, index, project, filename = path.split("/")
    stage, name = xom.model.getstage(user, index), f"{user}/{index}"
    known = pages.read(name, project)
    for file in known.detail.files if known else ():
        if file.filename == filename:
            entries.forget_hashes(xom.keyfs, file.path)

    def forget() -> None:
        pages.forget_file(name, project, filename)
        if stage:
            stage.expire(project)

    # Not before: who asks meanwhile would store it again, with the old file.
    xom.keyfs.tx.on_commit_success(forget)
    return apiresult(200, f"accepted {path}")

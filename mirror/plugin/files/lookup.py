"""The address of a mirrored file in, devpi's entry of it out, even if no page here lists the file yet.

A lock names addresses of this mirror, which may have lost what it knew, or never asked.
"""

import re
from collections.abc import Callable
from typing import Any

from devpi_server.views import PyPIView
from pyramid.httpexceptions import HTTPForbidden

from mirror.plugin import responses
from mirror.plugin.simple import filenames
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage

# What devpi's key_from_link makes; nothing else is worth a question.
_PATH = re.compile(r"[^/]+/[^/]+/\+(?:f/\w{1,3}/\w{1,13}|e/[^/]+)/([^/]+)")


def use() -> None:
    """From now on devpi's views find the entries of mirrored files so."""
    for name in ("stage_pkgserv", "mirror_pkgserv"):
        setattr(PyPIView, name, _serve_with(getattr(PyPIView, name)))


def _serve_with(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def serve(view: Any) -> Any:
        responses.refuse_writes(view.request)
        stage = view.context.stage
        if not isinstance(stage, CachingStage):
            return stock(view)
        path = view._relpath_from_request()  # noqa: SLF001 (listed in compat.py)
        of_wheel = path.removesuffix(".metadata")
        entry = _known(view.xom.filestore, of_wheel)
        if entry is None:
            if not view.request.has_permission("pkg_read"):
                raise HTTPForbidden("package read forbidden")
            entry = find(view.xom.filestore, stage, of_wheel)
        return view._pkgserv(entry, is_metadata=path != of_wheel)  # noqa: SLF001 (listed in compat.py)

    return serve


def find(filestore: Any, stage: CachingStage, path: str) -> Any:
    """The entry of the file at `path`, once its page was asked for. May restart the transaction.

    Raises GatewayError: 404 when the upstream has no such file, 503 when nobody knows.
    """
    asked = _PATH.fullmatch(path)
    trouble = None
    for project in filenames.projects_of(asked[1]) if asked else ():
        try:
            unsure = stage.refresh(project).trouble
        except stage.UpstreamNotFoundError:
            continue
        except GatewayError as error:
            unsure = error
        if entry := _known(filestore, path):
            return entry
        trouble = trouble or unsure
    raise trouble or GatewayError(404, f"the upstream lists no {path.rpartition('/')[2]} that is filed here")


def _known(filestore: Any, path: str) -> Any:
    entry = filestore.get_file_entry(path)
    return entry if entry is not None and entry.meta else None

"""Let devpi's views of files serve through ours, and find mirrored files that no page here lists yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from devpi_server.main import XOM
from devpi_server.views import PyPIView, json_preferred
from pyramid.httpexceptions import HTTPForbidden

from mirror.plugin.access import clients, readers
from mirror.plugin.files import lookup
from mirror.plugin.files.views import FileViews
from mirror.plugin.guards import denied_downloads
from mirror.plugin.guards.guards import Guards
from mirror.plugin.metadata.views import MetadataViews
from mirror.plugin.pages.dependencies import Snapshot
from mirror.plugin.pages.open_files import OpenFiles, ServedFile
from mirror.plugin.pages.store import PageKey
from mirror.plugin.patches import replace_members

_STOCK: Callable[..., Any] = PyPIView._pkgserv  # noqa: SLF001 (listed in compat.py)
_STOCK_VIEWS: dict[str, Callable[[Any], Any]] = {
    name: getattr(PyPIView, name) for name in ("stage_pkgserv", "mirror_pkgserv")
}


@dataclass(frozen=True)
class Services:
    """The parts that serve files, and those that decide about them."""

    files: FileViews
    metadata: MetadataViews
    guards: Guards
    open_files: OpenFiles


_ours: WeakKeyDictionary[XOM, Services] = WeakKeyDictionary()


def apply(xom: XOM, services: Services) -> None:
    """Serve `+f` and `+e` addresses of `xom` by `services`."""
    _ours[xom] = services
    xom.config.args.enable_core_metadata = True  # else devpi refuses `.metadata` before it asks us
    replace_members(PyPIView, _pkgserv=_serve)
    for name, stock in _STOCK_VIEWS.items():
        setattr(PyPIView, name, _with_lookup(stock))


def _serve(view: Any, entry: Any, *, is_metadata: bool = False) -> Any:
    """Serve the file of `entry`, or its metadata file, unless a policy denies it."""
    request, stage = view.request, view.context.stage
    if not entry.meta:
        return _STOCK(view, entry, is_metadata=is_metadata)
    if not request.has_permission("pkg_read"):
        raise HTTPForbidden("package read forbidden")
    if (
        json_preferred(request) and not is_metadata
    ):  # devpi's record of the file, with the URL of the upstream
        denied_downloads.check(_ours[view.xom].guards, request, stage, entry)
        return _STOCK(view, entry)
    ours, key = _ours[view.xom], PageKey(stage.name, entry.project or "")
    served = ServedFile(key, str(entry.relpath), is_metadata=is_metadata)
    is_open = ours.open_files.has(served)
    snapshot = None if is_open else Snapshot(stage, key.project, ours.guards.state_of(stage, key.project))
    denied_downloads.check(ours.guards, request, stage, entry)
    is_restricted = bool(ours.guards.declared())
    holder = view.xom.model.getstage(entry.user, entry.index)
    answer = (ours.metadata if is_metadata else ours.files).serve(request, holder or stage, entry)
    if snapshot:
        protected = readers.is_protected(stage)
        ours.open_files.open(served, snapshot.is_current, is_restricted=is_restricted, protected=protected)
    return answer


def _with_lookup(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`stock` finds the entry of an address; of a mirrored file, `lookup` does."""

    def serve(view: Any) -> Any:
        stage = view.context.stage
        path = view._relpath_from_request()  # noqa: SLF001 (listed in compat.py)
        of_wheel = path.removesuffix(".metadata")
        entry = lookup.known(view.xom.filestore, of_wheel)
        if entry is None:
            if not view.request.has_permission("pkg_read"):
                raise HTTPForbidden("package read forbidden")
            entry = _ours[view.xom].files.find(stage, of_wheel, clients.of_request(view.request))
        return stock(view) if entry is None else _serve(view, entry, is_metadata=path != of_wheel)

    return serve

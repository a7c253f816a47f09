"""Let devpi's JSON views of projects and versions link to files as pages do: to shown ones only."""

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from devpi_server.main import XOM
from devpi_server.normalized import normalize_name
from devpi_server.readonly import get_mutable_deepcopy
from devpi_server.views import PyPIView

from mirror.plugin.guards.guards import Guards
from mirror.plugin.patches import replace_members

_STOCK: Callable[[Any, Any], Any] = PyPIView._make_view_verdata  # noqa: SLF001 (listed in compat.py)

_ours: WeakKeyDictionary[XOM, Guards] = WeakKeyDictionary()
# By view, which devpi makes for each request: a project has many versions.
_addresses: WeakKeyDictionary[Any, Mapping[str, str]] = WeakKeyDictionary()


def apply(xom: XOM, guards: Guards) -> None:
    """Judge what the views of `xom` list by `guards`."""
    _ours[xom] = guards
    replace_members(PyPIView, _make_view_verdata=_judged)


def _judged(view: Any, verdata: Any) -> Any:
    """devpi's view of a version's metadata, and of those that it shadows, without denied files."""
    guards = _ours[view.xom]
    if not guards.declared():
        return _STOCK(view, verdata)
    if view not in _addresses:
        stage, project = view.context.stage, normalize_name(view.context.project)
        _addresses[view] = guards.addresses(stage, project)
    return _STOCK(view, _with_links(get_mutable_deepcopy(verdata), _addresses[view]))


def _with_links(verdata: dict[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """`verdata` with the links of files that have addresses, and of what belongs to these (test results)."""
    kept = []
    for link in verdata.get("+elinks", ()):
        of_file = "entrypath" if link["rel"] == "releasefile" else "for_entrypath"
        if path := link.get(of_file):
            if (address := addresses.get(path.partition("#")[0])) is None:
                continue
            link[of_file] = address
        kept.append(link)
    return {**verdata, "+elinks": kept}

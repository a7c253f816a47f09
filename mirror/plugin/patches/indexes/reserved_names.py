"""Leave mirrors out when an index is asked for a project whose name is reserved."""

import copy
from collections.abc import Callable
from typing import Any

from devpi_server.model import BaseStage

from mirror.plugin import reservations

# What all questions to an index and its bases go through: pages, versions, whether a project exists.
_STOCK_OPERATIONS: dict[str, Callable[..., Any]] = {
    name: getattr(BaseStage, name) for name in ("op_sro", "op_sro_check_mirror_whitelist")
}
_STOCK_WHITELIST_INFO: Callable[[Any, str], Any] = BaseStage.get_mirror_whitelist_info
_STOCK_LIST: Callable[[Any], Any] = BaseStage.list_projects


def apply() -> None:
    """Patch both kinds of index."""
    for name, stock in _STOCK_OPERATIONS.items():
        setattr(BaseStage, name, _for_project(stock))
    BaseStage.get_mirror_whitelist_info = _whitelist_info  # type: ignore[method-assign]
    BaseStage.list_projects = _list_projects  # type: ignore[method-assign]


def _for_project(stock: Callable[..., Any]) -> Callable[..., Any]:
    def operation(stage: Any, opname: str, **parameters: Any) -> Any:
        return stock(_as_seen(stage, parameters.get("project")), opname, **parameters)

    return operation


def _whitelist_info(stage: Any, project: str) -> Any:
    return _STOCK_WHITELIST_INFO(_as_seen(stage, project), project)


def _as_seen(stage: Any, project: str | None) -> Any:
    """`stage` as it is for a project: if the name is reserved, a copy of it without mirrors."""
    if project is None or not reservations.hides_upstreams(stage, reservations.normalize(project)):
        return stage
    alone = copy.copy(stage)
    own = [base for base in type(stage).sro(alone) if base.ixconfig["type"] != "mirror"]
    alone.sro = lambda: iter(own)
    return alone


def _list_projects(stage: Any) -> Any:
    """Indexes and their projects, without reserved names on mirrors."""
    return [(base, _without_reserved(stage, base, names)) for base, names in _STOCK_LIST(stage)]


def _without_reserved(stage: Any, base: Any, names: Any) -> Any:
    hidden = reservations.hidden_among(stage, names) if base.ixconfig["type"] == "mirror" else ()
    return [name for name in names if name not in hidden] if hidden else names

"""Ask the upstream whether a project exists of which no page is here: devpi-web would answer 404."""

from collections.abc import Callable
from typing import Any

from devpi_server.markers import unknown
from devpi_server.model import BaseStage

_STOCK: Callable[[Any, str], Any] = BaseStage.has_project


def apply() -> None:
    """Let views that verify a project (view_auth.py, verified_project) find what nobody asked for yet."""
    BaseStage.has_project = _has_project  # type: ignore[method-assign]


def _has_project(stage: Any, project: str) -> Any:
    """Raises GatewayError when nobody knows."""
    found = _STOCK(stage, project)
    if found is not unknown or stage.keyfs.tx.write:  # a write must not wait for an upstream
        return found
    try:
        return any(True for _ in stage.op_sro_check_mirror_whitelist("refresh", project=project))
    except stage.UpstreamNotFoundError:
        return False

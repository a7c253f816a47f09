"""Patch devpi to look for no user whose name has a slash: logins and tokens that state one ended in a 500."""

from collections.abc import Callable
from typing import Any

from devpi_server.model import RootModel

from mirror.plugin.patches import replace_members

_STOCK: Callable[[Any, str], Any] = RootModel.get_user


def apply() -> None:
    """Let there be none: a slash separates keys of devpi's database."""
    replace_members(RootModel, get_user=_get_user)


def _get_user(model: Any, name: str) -> Any:
    return None if "/" in name else _STOCK(model, name)

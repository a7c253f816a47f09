"""Declare our keys of devpi's database wherever devpi declares its own: in servers, replicas, commands."""

from collections.abc import Callable
from typing import Any

from devpi_server import model

from mirror.plugin import declarations, pinned_hashes, reservations
from mirror.plugin.uploads import version_rows

_STOCK: Callable[[Any, Any], None] = model.add_keys


def apply() -> None:
    """A replica could not read what a primary writes under a key that is not declared."""
    model.add_keys = _add_keys


def _add_keys(xom: Any, keyfs: Any) -> None:
    _STOCK(xom, keyfs)
    reservations.add_keys(keyfs)
    pinned_hashes.add_keys(keyfs)
    version_rows.add_keys(keyfs)
    for each in declarations.ALL:
        each.add_key(keyfs)

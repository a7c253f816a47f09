"""Changes to devpi-server itself: one module each with `apply()`, harmless when applied twice."""

from typing import Any


def replace_members(owner: Any, **members: Any) -> None:
    """Replace members of a class or module of devpi's. Assigned by name, mypy would refuse each."""
    for name, member in members.items():
        setattr(owner, name, member)

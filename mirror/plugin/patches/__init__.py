"""Changes to devpi-server itself: one module each with `apply()`, harmless when applied twice."""

from typing import Any


def put(owner: Any, **members: Any) -> None:
    """Give a class or module of devpi's other members. Assigned by name, mypy would refuse each."""
    for name, member in members.items():
        setattr(owner, name, member)

"""Settings that are declared to the server: read as they were put, and parsed once."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin import declarations
from mirror.plugin.declared_settings import DeclaredSettings

Limits = DeclaredSettings[Mapping[str, int]]


def _keyfs() -> Any:  # noqa: ANN401 (devpi is untyped)
    stored: dict[str, dict[str, str]] = {}

    def key(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            get=lambda: stored.get(name, {}), set=lambda value: stored.update({name: value})
        )

    return SimpleNamespace(get_key=key, stored=stored)


def test_what_is_declared_is_read_and_parsed_once() -> None:
    """Pages and files ask with each request; nothing is declared before the first `mirror init`."""
    seen, keyfs = [], _keyfs()

    def parse(settings: Mapping[str, int]) -> Mapping[str, int]:
        seen.append(settings)
        return settings

    limits: Limits = DeclaredSettings("limits", parse)
    assert limits.read(keyfs) == limits.settings(keyfs) == {}
    limits.declare(keyfs, {"b": 2, "a": 1})
    assert limits.read(keyfs) == limits.read(keyfs) == limits.settings(keyfs) == {"a": 1, "b": 2}
    assert seen == [{}, {"a": 1, "b": 2}]


def test_what_cannot_be_parsed_is_not_put_in_force() -> None:
    """What was in force stays."""
    keyfs = _keyfs()
    limits: Limits = DeclaredSettings("limits", lambda settings: {"a": int(settings["a"])})
    limits.declare(keyfs, {"a": 1})
    with pytest.raises(ValueError, match="much"):
        limits.declare(keyfs, {"a": "much"})
    assert limits.read(keyfs) == {"a": 1}


def test_keys_and_exports_of_earlier_versions_are_found() -> None:
    """They are in databases, replicas and backups: a renamed one would count as nothing declared."""
    keyfs = _keyfs()
    for each in declarations.ALL:
        each.declare(keyfs, {})
    assert keyfs.stored == {
        "PACKHORSE_POLICIES": {"settings": "{}"},
        "PACKHORSE_PUBLISHERS": {"settings": "{}"},
        "PACKHORSE_READERS": {"readers": "{}"},
    }
    assert [(each.path, each.exported_as) for each in declarations.ALL] == [
        ("+policies", "packhorse_policies"),
        ("+publishers", "packhorse_publishers"),
        ("+readers", "packhorse_readers"),
    ]

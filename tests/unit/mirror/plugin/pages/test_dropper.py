"""Tests of dropping pages when the advisories, or the day, have changed."""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.pages.dropper import Dropper


def dropper(state: dict[str, Any]) -> tuple[Dropper, list[Any]]:
    """A dropper that looks at `state`, and what it has dropped."""
    dropped: list[Any] = []

    @contextlib.contextmanager
    def changing(projects: Any) -> Iterator[None]:  # noqa: ANN401 (None)
        if state.get("full"):
            raise OSError("disk full")
        dropped.append(projects)
        yield

    store: Any = SimpleNamespace(changing=changing)
    return Dropper(store, lambda: state["version"], lambda: state["used"]), dropped


def test_pages_are_dropped_once_for_each_change() -> None:
    """And not without one: every page would be rendered anew."""
    state = {"version": 1, "used": True}
    watching, dropped = dropper(state)
    watching.look()
    assert dropped == []
    state["version"] = 2
    watching.look()
    watching.look()
    assert dropped == [None]


def test_pages_stay_when_no_policy_depends_on_what_has_changed() -> None:
    """Each midnight is a change."""
    state = {"version": 1, "used": False}
    watching, dropped = dropper(state)
    state["version"] = 2
    watching.look()
    assert dropped == []


def test_pages_that_could_not_be_dropped_are_at_the_next_look() -> None:
    """They say what is not true any more."""
    state = {"version": 1, "used": True, "full": True}
    watching, dropped = dropper(state)
    state["version"] = 2
    with pytest.raises(OSError, match="disk full"):
        watching.look()
    state["full"] = False
    watching.look()
    assert dropped == [None]

"""What hosts say about their releases: of those that are here, of those that were, and of none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.inspect import show
from release.host.commands.releases import history
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini
from release.host.request import Show
from tests.support.release_folders import (
    FakeSupervisor,
    a_layout,
    a_manifest,
    a_request,
    a_session,
    add_release,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = a_layout(tmp_path)
    circus_ini.write(made, ("127.0.0.1", 8000))
    return made


def ask(layout: Layout, *numbers: int | None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    request = a_request(Show, layout, releases=list(numbers), **fields)
    return dict(show.run(layout, request, FakeSupervisor(layout), a_session()))


def test_a_release_is_described_without_a_value(layout: Layout) -> None:
    """Names of variables, and where each comes from; with a key, what tells whether two are equal."""
    add_release(layout, 1, COLOUR="s3cret")
    manifest = replace(a_manifest(1, {"web": "serve", "worker": "work"}), committer="Ann", commit="abc")
    releases.write_manifest(layout, manifest, {"COLOUR": "s3cret"}, {"TOKEN": "hunter2"})
    releases.switch(layout, 1)
    (found,) = ask(layout, None)["releases"]
    assert found["processes"] == {"web": "serve", "worker": "work"}
    assert (found["artifact"]["commit"], found["artifact"]["committer"]) == ("abc", "Ann")
    assert found["variables"] == [{"name": "COLOUR", "set": False}, {"name": "TOKEN", "set": True}]
    assert (found["state"], found["by"], found["kept"]) == ("current", "ann@example", True)
    digests = ask(layout, None, key="random")["releases"][0]["variables"]
    assert all(len(each["digest"]) == 64 for each in digests)
    assert "s3cret" not in json.dumps(found)
    assert "hunter2" not in json.dumps(digests)


def test_a_pruned_release_is_known_by_the_journal_and_never_called_good(layout: Layout) -> None:
    """Nobody can go back to it."""
    for number in (1, 2, 3):
        add_release(layout, number)
    releases.switch(layout, 3)
    releases.remove(layout, 1)
    assert [row["state"] for row in history.listed(layout)] == ["current", "good", "pruned"]
    (found,) = ask(layout, 1)["releases"]
    assert (found["state"], found["kept"], found["version"]) == ("pruned", False, "1.0")
    assert "processes" not in found


def test_the_one_before_is_the_last_good_one_that_is_here(layout: Layout) -> None:
    """Neither one that failed, nor one that was pruned."""
    for number, outcome in ((1, journal.GOOD), (2, journal.GOOD), (3, journal.FAILED), (4, journal.GOOD)):
        add_release(layout, number, outcome)
    releases.switch(layout, 4)
    releases.remove(layout, 2)
    assert [each["release"] for each in ask(layout, None, before=True)["releases"]] == [1, 4]
    assert [each["release"] for each in ask(layout, 3, None)["releases"]] == [3, 4]
    releases.remove(layout, 1)
    assert [each["release"] for each in ask(layout, None, before=True)["releases"]] == [4]


def test_nothing_is_an_answer_only_to_who_asks_for_no_release(layout: Layout) -> None:
    """`release pipeline` asks what serves; `release show` wants to see it."""
    assert ask(layout)["current"] is None
    with pytest.raises(PackhorseError, match="has never been deployed here"):
        ask(layout, None)
    for number in (7, 0):
        with pytest.raises(PackhorseError, match=f"has no release {number} here"):
            ask(layout, number)


def test_what_serves_is_said_with_its_address(layout: Layout) -> None:
    """And whether somebody has stopped it."""
    add_release(layout, 1)
    releases.switch(layout, 1)
    current = ask(layout)["current"]
    assert (current["version"], current["url"], current["stopped"]) == ("1.0", "http://127.0.0.1:8000", False)
    layout.stopped.touch()
    assert ask(layout)["current"]["stopped"]


def test_a_release_that_is_being_removed_is_described_as_gone(layout: Layout) -> None:
    """A deploy prunes at the same time."""
    add_release(layout, 1)
    (layout.release(1) / "manifest.json").unlink()
    assert not ask(layout, 1)["releases"][0]["kept"]

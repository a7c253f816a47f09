"""The promises of release.host.commands.releases.history."""

from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.releases import history
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from tests.support.release_folders import a_layout, a_manifest, add_release


def add(layout: Layout, number: int, origin: int, outcome: str = journal.GOOD, **env: str) -> None:
    """Release `number` with the content of release `origin`."""
    add_release(layout, number, outcome, **env)
    manifest = replace(a_manifest(number), sha256=str(origin), version=f"{origin}.0", origin=origin)
    releases.write_manifest(layout, manifest, env)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return a_layout(tmp_path)


def test_what_changed_is_said_without_a_value() -> None:
    """Values of the configuration may be secrets."""
    assert history.changed_names({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "s3cret", "D": ""}) == [
        *("B", "C", "D"),
    ]


def test_a_release_is_compared_with_the_one_before(layout: Layout) -> None:
    """Code, configuration, and how it is installed and probed."""
    add(layout, 1, 1, COLOUR="red")
    add(layout, 2, 2, COLOUR="blue")
    add(layout, 3, 2, COLOUR="blue")
    releases.write_manifest(layout, replace(a_manifest(3), sha256="2", installer="pip"), {"COLOUR": "blue"})
    assert history.changed(layout, None, 1) == "everything"
    assert history.changed(layout, 1, 2) == "code, config COLOUR"
    assert history.changed(layout, 2, 3) == "installer"


def test_back_is_to_the_last_good_one_with_another_content(layout: Layout) -> None:
    """One that failed never served, and the same again helps nobody."""
    add(layout, 1, 1)
    add(layout, 2, 2, journal.FAILED)
    add(layout, 3, 3)
    add(layout, 4, 3)
    releases.switch(layout, 4)
    assert history.to_go_back_to(layout, None) == 1


def test_back_twice_goes_two_back(layout: Layout) -> None:
    """The second time, the release that was left the first time is not what anybody wants."""
    for number in (1, 2, 3):
        add(layout, number, number)
    add(layout, 4, 2)
    releases.switch(layout, 4)
    assert history.to_go_back_to(layout, None) == 1


def test_at_the_first_content_the_others_are_named(layout: Layout) -> None:
    """Who went back wants the one that was left after all, perhaps."""
    for number in (1, 2):
        add(layout, number, number)
    add(layout, 3, 1)
    releases.switch(layout, 3)
    with pytest.raises(PackhorseError) as caught:
        history.to_go_back_to(layout, None)
    assert caught.value.hint == "Name one of the good releases 2: release rollback TARGET N"


@pytest.mark.parametrize(
    ("number", "message"), [(None, "before release 2"), (3, "release 3"), (9, "release 9")]
)
def test_what_is_not_there_cannot_be_gone_back_to(layout: Layout, number: int | None, message: str) -> None:
    """What there is, is said."""
    add(layout, 2, 2)
    add(layout, 3, 3, journal.FAILED)
    releases.switch(layout, 2)
    with pytest.raises(PackhorseError, match=message):
        history.to_go_back_to(layout, number)


def test_the_list_shows_every_release_once(layout: Layout) -> None:
    """Newest first; what was pruned is still in the journal, and nobody can go back to it."""
    add(layout, 1, 1)
    add(layout, 2, 2)
    add_release(layout, 3, journal.TRIAL)
    entry = journal.read(layout.journal)[-1]
    journal.append(layout.journal, replace(entry, state=journal.FAILED, reason="no answer"))
    releases.remove(layout, 1)
    releases.switch(layout, 2)
    listed = history.listed(layout)
    assert [(row["release"], row["state"], row["reason"]) for row in listed] == [
        (3, "failed", "no answer"),
        (2, "current", ""),
        (1, "pruned", ""),
    ]

"""The promises of release.host.lock."""

from pathlib import Path

import pytest

from release.host import lock
from tests.release.host.places import a_layout


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    """ "Locked" alone leaves people guessing whether to wait or to delete a file."""
    layout = a_layout(tmp_path)
    with (
        lock.held(layout, "deploy of 1.0", "ann@example"),
        pytest.raises(lock.BusyError, match=r"shop is busy: deploy of 1\.0 by ann@example since 20"),
        lock.held(layout, "stop", "bob@example"),
    ):
        pass


def test_it_is_free_afterwards_whatever_the_file_says(tmp_path: Path) -> None:
    """The kernel's lock counts: a file that a killed holder left locks nobody out."""
    layout = a_layout(tmp_path)
    with lock.held(layout, "deploy of a version with a long name", "ann@example"):
        pass
    with lock.held(layout, "stop", "bob@example"):
        assert lock.owner(layout).startswith("stop by bob@example since ")


def test_a_lock_whose_owner_is_not_written_yet_is_a_lock(tmp_path: Path) -> None:
    """Between taking it and writing the name there is a moment."""
    layout = a_layout(tmp_path)
    layout.lock.touch()
    assert lock.owner(layout) == "another command has just begun"

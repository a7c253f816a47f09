"""The promises of release.host.disk.lock."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from release.host.control.session import StoppedError
from release.host.disk import lock
from tests.support.release_folders import FakeController, a_layout, a_session


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


def test_somebody_patient_gets_it_when_it_is_free(tmp_path: Path) -> None:
    """`--wait`: for scripts, and for two people who deploy at the same time."""
    layout = a_layout(tmp_path)
    with ExitStack() as first:
        first.enter_context(lock.held(layout, "stop", "ann@example"))
        said: list[dict[str, object]] = []
        timer = threading.Timer(0.3, first.close)
        timer.start()
        with lock.held(layout, "deploy of 1.0", "bob@example", 20, a_session(emit=said.append)):
            assert lock.owner(layout).startswith("deploy of 1.0 by bob@example")
        timer.join()
    assert [event["name"] for event in said] == ["lock"]
    assert "stop by ann@example" in str(said[0]["text"])


def test_no_other_user_can_take_it(tmp_path: Path) -> None:
    """Whoever may read a file may lock it for ever; earlier versions let every local user."""
    layout = a_layout(tmp_path)
    layout.lock.touch(0o644)
    with lock.held(layout, "stop", "ann@example"):
        assert layout.lock.stat().st_mode & 0o777 == 0o600


def test_a_wait_ends_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """Ctrl-C."""
    layout, controller = a_layout(tmp_path), FakeController()
    controller.stop.set()
    with (
        lock.held(layout, "stop", "ann@example"),
        pytest.raises(StoppedError),
        lock.held(layout, "stop", "bob@example", 20, a_session(controller)),
    ):
        pass

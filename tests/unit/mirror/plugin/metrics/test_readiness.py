"""When a server says that it may serve."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.metrics import readiness
from mirror.plugin.metrics.readiness import Readiness


def test_a_server_without_problems_is_ready_and_checks_at_most_once_a_second() -> None:
    """Each check writes: who asks without end must not make the disk busy."""
    now, runs = [100.0], [0]

    def check() -> str | None:
        runs[0] += 1
        return "wrong" if runs[0] == 2 else None

    ready = Readiness({"disk": check}, clock=lambda: now[0])
    assert [ready.problems(), ready.problems(), runs] == [{}, {}, [1]]
    now[0] += 1
    assert ready.problems() == {"disk": "wrong"}


def test_a_check_that_fails_is_a_problem_and_shows_no_detail() -> None:
    """Strangers read the answer."""

    def check() -> str | None:
        raise PermissionError("/srv/secret/path")

    assert Readiness({"database": check}).problems() == {"database": "cannot be checked: PermissionError"}


@pytest.mark.parametrize(
    ("primary", "heard", "problem"),
    [
        (None, None, "it has not heard of its primary yet"),
        (50, 990.0, None),
        (50 + readiness.LAG + 1, 990.0, "it lacks 101 changes of its primary"),
        (50, 600.0, "it has not heard of its primary for 400 s"),
    ],
)
def test_a_replica_is_ready_when_it_has_caught_up(
    primary: int | None, heard: float | None, problem: str | None
) -> None:
    """Some changes behind is usual while others write."""
    thread = SimpleNamespace(get_primary_serial=lambda: primary, update_from_primary_at=heard)
    keyfs = SimpleNamespace(get_current_serial=lambda: 50)
    xom: Any = SimpleNamespace(replica_thread=thread, keyfs=keyfs)
    assert readiness._replica(xom, 1000.0) == problem


def test_a_disk_without_room_or_that_cannot_be_written_is_no_place_to_serve_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the probe leaves nothing behind."""
    assert readiness._disk(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert str(readiness._disk(Path("/proc"))).startswith("less than 64 MB are free")
    monkeypatch.setattr(readiness, "LEAST_FREE", 0)
    assert str(readiness._disk(Path("/proc"))).startswith("it cannot be written")


def test_a_probe_that_a_full_disk_refuses_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """open(2) makes the file, and only write(2) fails; a watcher asks every few seconds."""

    def full(path: Path, _data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert readiness._disk(tmp_path) == "it cannot be written: full"
    assert list(tmp_path.iterdir()) == []

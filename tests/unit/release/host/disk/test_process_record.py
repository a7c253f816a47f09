"""The promises of release.host.disk.process_record."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from release.host.disk import process_record
from release.host.disk.process_record import History, ProcessEvent

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def events(*steps: tuple[float, int, int | None]) -> list[ProcessEvent]:
    """(seconds after noon, process, exit status or None for a start); what was stopped ends with -15."""
    return [
        ProcessEvent(NOON + timedelta(seconds=at), "worker.1", pid, status is not None, status, status == -15)
        for at, pid, status in steps
    ]


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_who_was_told_to_end_was_not_restarted() -> None:
    """Two that were started for a larger number, one that ended for a smaller one, many quick restarts."""
    calm = events((0, 1, None), (10, 2, None), (20, 1, -15), (21, 3, None), (22, 3, -15), (23, 2, -15))
    assert process_record.history(calm, later(30)) == History(0, looping=False, status=None)


def test_restarts_are_those_of_the_last_hour() -> None:
    """What was mended yesterday is no news."""
    crashes = events((0, 1, None), (100, 1, 1), (101, 2, None), (900, 2, 0), (901, 3, None))
    assert process_record.history(crashes, later(2000)) == History(2, looping=False, status=0)
    assert process_record.history(crashes, later(3800)).restarts == 1
    assert process_record.history(crashes, later(9000)).restarts == 0


def test_short_lives_in_a_row_are_a_crash_loop_while_it_lasts() -> None:
    """A database that is back, or an hour without a crash, ends it."""
    steps = [step for n in range(3) for step in ((20.0 * n, n, None), (20.0 * n + 19, n, 3))]
    assert process_record.history(events(*steps), later(60)) == History(3, looping=True, status=3)
    assert not process_record.history(events(*steps), later(600)).looping
    assert not process_record.history(events(*steps[:-2]), later(60)).looping
    long = [step for n in range(3) for step in ((200.0 * n, n, None), (200.0 * n + 199, n, 3))]
    assert not process_record.history(events(*long), later(600)).looping


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[" * 900,
        b"3",
        b"{}",
        b'{"at": 3, "watcher": "a", "pid": 1, "event": "ended", "status": 1}',
        b'{"at": "2026-11-26T12:00:00", "watcher": "a", "pid": 1, "event": "ended", "status": 1}',
        b'{"at": "2026-11-26T12:00:00Z", "watcher": ["a"], "pid": 1, "event": "ended", "status": 1}',
        b'{"at": "2026-11-26T12:00:00Z", "watcher": "a", "pid": "1", "event": "ended", "status": 1}',
        b'{"at": "2026-11-26T12:00:00Z", "watcher": "a", "pid": 1, "event": "exploded", "status": 1}',
        b'{"at": "2026-11-26T12:00:00Z", "watcher": "a"}',
        b"\xff" * 100,
        b'{"at": "2026-11-26T12:00:00Z", "watcher": "a", "pid": 1, "event": "ended", "status": %s}'
        % (b"1" * 5000),
    ],
)
def test_what_the_application_writes_there_is_left_out(line: bytes) -> None:
    """The record lies in a folder of the user that runs it."""
    assert process_record.parsed(line) is None


def test_the_record_is_read_with_the_part_before(tmp_path: Path) -> None:
    """It was rotated in the middle of a crash loop."""
    for name, pid in (("processes.jsonl.1", 1), ("processes.jsonl", 2)):
        entry = {
            "at": "2026-11-26T12:00:00.5Z",
            "watcher": "a",
            "pid": pid,
            "event": "started",
            "status": None,
        }
        (tmp_path / name).write_text(json.dumps(entry) + "\n")
    assert [event.pid for event in process_record.read(tmp_path)["a"]] == [1, 2]


def test_what_is_no_file_is_no_record(tmp_path: Path) -> None:
    """A link would let the application read our files, a pipe would never end."""
    assert process_record.read(tmp_path) == {}
    os.mkfifo(tmp_path / "processes.jsonl")
    assert process_record.read(tmp_path) == {}
    (tmp_path / "processes.jsonl").unlink()
    (tmp_path / "processes.jsonl").symlink_to("/etc/passwd")
    assert process_record.read(tmp_path) == {}

"""The promises of release.host.runtime.once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from release.host.formats import log_line
from release.host.runtime import once
from tests.support.servers import wait_until


def begin(log: Path, *command: str) -> "subprocess.Popen[bytes]":
    """It runs `command` as circus starts it: the leader of a process group."""
    return subprocess.Popen([sys.executable, "-IS", once.__file__, log, *command], start_new_session=True)


def texts(log: Path) -> list[str]:
    """The lines, which all have a time and a process."""
    lines = [log_line.parse(line) for line in log.read_bytes().splitlines()]
    assert all(line.at and line.pid for line in lines)
    return [line.text for line in lines]


@pytest.mark.parametrize(("command", "status"), [("echo done", "0"), ("exit 3", "3"), ("kill -9 $$", "137")])
def test_output_and_status_are_written_down(tmp_path: Path, command: str, status: str) -> None:
    """Whoever waits for it may not be its parent, nor its user."""
    log = tmp_path / "release.1.log"
    begin(log, "/bin/sh", "-c", f"echo begun; {command}; printf 'and the end'").wait(60)
    assert texts(log)[0] == "begun"
    assert log.read_text().endswith("\n")
    assert (tmp_path / "release.1.log.status").read_text() == status


def test_a_second_start_does_nothing(tmp_path: Path) -> None:
    """systemd starts a circusd that was killed again, and that one all of its watchers."""
    log = tmp_path / "release.1.log"
    log.write_text("of the first\n")
    begin(log, "/bin/sh", "-c", f"touch {tmp_path}/ran").wait(60)
    assert not (tmp_path / "ran").exists()
    assert log.read_text() == "of the first\n"


def has_ended(process: str) -> bool:
    """Whether the process with this number has, also if nobody has asked for its status yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"
    return True


def test_it_passes_on_the_request_to_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """circus signals one process: this one."""
    log = tmp_path / "release.1.log"
    process = begin(log, "/bin/sh", "-c", "trap 'exit 5' TERM; sleep 60 & echo $!; wait")
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    process.wait(60)
    assert (tmp_path / "release.1.log.status").read_text() == "5"
    wait_until("the end of the second process", lambda: has_ended(texts(log)[0]))


def test_a_request_to_end_in_the_first_moment_has_a_status_too(tmp_path: Path) -> None:
    """The deploy waits for it."""
    log = tmp_path / "release.1.log"
    process = begin(log, "/bin/sleep", "60")
    deadline = time.monotonic() + 20
    while not log.exists():
        assert time.monotonic() < deadline
    os.kill(process.pid, signal.SIGTERM)
    process.wait(60)
    assert (tmp_path / "release.1.log.status").read_text() == "143"


def test_lines_are_whole_and_what_is_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """The last words have no end, a line does not fit into memory, and a child writes on."""
    log = tmp_path / "release.1.log"
    script = (
        "yes x | head -c 200000 | tr -d '\\n'; echo; (while sleep 0.01; do echo on; done)& printf 'the end'"
    )
    begin(log, "/bin/sh", "-c", script).wait(60)
    pieces = [log_line.parse(line) for line in log.read_bytes().splitlines()]
    assert [piece.goes_on for piece in pieces[:2]] == [True, False]
    assert "".join(piece.text for piece in pieces[:2]) == "x" * 100_000
    assert "the end" in "".join(piece.text for piece in pieces[2:])

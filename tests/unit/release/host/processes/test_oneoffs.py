"""The promises of release.host.processes.oneoffs; tests/integration/release/test_run.py runs them."""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.processes import oneoffs, usage
from release.host.processes.oneoffs import OneOff
from release.host.runtime import oneoff
from tests.support.release_folders import FakeSupervisor, a_layout, a_session, add_release


def test_a_release_that_the_application_locks_for_ever_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One-offs cannot start then: an error about circusd's log would lead nowhere."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    monkeypatch.setattr(oneoffs, "_start", lambda *_: None)
    ready = os.open(layout.release(1) / releases.READY, os.O_RDONLY)
    fcntl.flock(ready, fcntl.LOCK_EX)
    try:
        with pytest.raises(PackhorseError, match="another process has locked its READY"):
            oneoffs.start(layout, FakeSupervisor(layout), a_session(), lambda: 1)
    finally:
        os.close(ready)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The connection of a one-off, and the end of who pretends to be one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_an_answer_that_comes_byte_by_byte_is_late(pair: tuple[socket.socket, socket.socket]) -> None:
    """Each byte in time: a deploy would wait for days."""
    ours, theirs = pair
    ours.settimeout(0.3)
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.02):
            theirs.send(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                OneOff(ours, 1, []).wait()
    finally:
        over.set()
        dripping.join()
    assert ours.gettimeout() == 0.3


def test_one_that_does_not_end_is_waited_for_no_longer(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been told to end, or the time of its job is over."""
    monkeypatch.setattr(oneoffs, "END_TIMEOUT", 0.05)
    one_off = OneOff(pair[0], 1, [])
    one_off.end()
    assert one_off.wait() is None


@pytest.mark.parametrize("answer", ["[" * 50_000, "no json", "[]", '{"status": "0"}', '{"status": 1e3}'])
def test_an_answer_that_is_none_is_that_of_a_killed_one(
    pair: tuple[socket.socket, socket.socket], answer: str
) -> None:
    """The application can write there what it likes."""
    pair[1].sendall(answer.encode() + b"\n")
    assert OneOff(pair[0], 1, []).wait() is None


def test_descriptors_that_nobody_asked_for_are_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    """Else an agent has none left."""
    ours, theirs = pair
    before = descriptors()
    for _ in range(20):
        socket.send_fds(theirs, [b" "], [0, 0, 0])
    theirs.sendall(b"{}\n")
    _, files = oneoffs._answer(ours, 3)
    for each in files:
        os.close(each)
    assert len(files) == 3
    assert descriptors() == before
    socket.send_fds(theirs, [b"{}\n"], [0])
    OneOff(ours, 1, []).wait()
    assert descriptors() == before


def test_one_offs_that_the_application_made_up_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can write any number of logs that begin as theirs: of one process, or of many."""
    layout, processes = a_layout(tmp_path), usage.table()
    monkeypatch.setattr(oneoff, "__file__", "python")  # what started this test
    own = os.getpid()
    processes[own] = usage.Stat(own, own, 0.0, 0.0, 0)
    for number in range(3):
        layout.log(f"run.1.{number}").write_text(f"2026-11-26T05:00:00Z {own} {'x' * 900}: started by ann\n")
    (only,) = oneoffs.running(layout, processes)
    assert (only.pid, len(only.command)) == (own, oneoffs.LONGEST_COMMAND)
    stat = processes[own]
    for number in range(200):
        processes[own + 1 + number] = stat
        layout.log(f"run.2.{number}").write_text(
            f"2026-11-26T05:00:00Z {own + 1 + number} x: started by ann\n"
        )
    assert len(oneoffs.running(layout, processes)) == oneoffs.MOST_RUNNING

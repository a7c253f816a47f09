"""The promises of release.host.processes.circusd, towards a circusd that is a thread with a unix socket."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import psutil
import pytest
import zmq

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, circusd
from release.host.processes.circusd import Circus
from tests.support.release_folders import NOBODY
from tests.support.servers import short_home

Command = dict[str, Any]
BUSY: Command = {"status": "error", "errno": 5, "reason": "arbiter is already running reload"}


class FakeCircusd:
    """Answers commands on the control socket of `layout` as `answer` says; None is no answer."""

    def __init__(self, layout: Layout, answer: Callable[[Command], Command | None]) -> None:
        self.layout = layout
        self.answer = answer
        self.commands: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.bind(f"ipc://{self.layout.control}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close(linger=0)

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(10):
                client, data = self._socket.recv_multipart()
                command = json.loads(data)
                self.commands.append(command["command"])
                answer = self.answer(command)
                if answer is not None:
                    self._socket.send_multipart([client, json.dumps(answer).encode()])


@pytest.fixture
def layout() -> Iterator[Layout]:
    with short_home() as folder:
        made = Layout("shop", folder / "apps", folder / "run")
        releases.create_folders(made)
        made.circus_ini.write_text(circus_ini.circus_text(made, None))
        yield made


@contextmanager
def ended_process() -> Iterator[psutil.Process]:
    """A process that is no more."""
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        process = psutil.Process(child.pid)
        child.kill()
    yield process


def test_circusd_runs_while_somebody_listens_on_its_socket(layout: Layout) -> None:
    """The kernel knows who: a file with a number would outlive a power cut, as the socket's own file does."""
    circus = Circus(layout)
    assert circus.pid() is None
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(layout.control))
    assert not circus.running()
    layout.control.unlink()
    with FakeCircusd(layout, lambda _: {}):
        assert circus.pid() == os.getpid()
        assert circus.running()


def test_the_program_that_forwards_a_port_is_no_watcher_of_a_release(layout: Layout) -> None:
    """It stays whatever release runs; what should run is compared with the rest."""
    statuses = {"web.1": "active", circus_ini.FORWARD: "active"}
    with FakeCircusd(layout, lambda _: {"status": "ok", "statuses": statuses}):
        assert Circus(layout).watchers() == {"web.1": "active"}


def test_a_watcher_that_is_not_there_has_no_processes(layout: Layout) -> None:
    """circus answers with an error; who asks wants to know what runs."""

    def answer(command: Command) -> Command:
        if command["properties"] == {"name": "web.1"}:
            return {"status": "ok", "pids": [7, 8]}
        return {"status": "error", "errno": 3, "reason": "program not found"}

    with FakeCircusd(layout, answer):
        assert Circus(layout).pids("web.1") == [7, 8]
        assert Circus(layout).pids("web.2") == []


def test_a_busy_circus_is_asked_again(layout: Layout) -> None:
    """It takes one command at a time."""
    answers: Iterator[Command] = iter([BUSY, BUSY, {"status": "ok", "statuses": {}}])
    with FakeCircusd(layout, lambda _: next(answers)) as fake:
        assert Circus(layout).watchers() == {}
    assert fake.commands == ["status"] * 3


def test_a_refusal_is_shown_with_the_end_of_the_log(layout: Layout) -> None:
    """What circus says there is the cause; the answer is one line."""
    layout.circusd_log.write_text("starting\nTraceback: no such user\n")
    refusal = {"status": "error", "errno": 1, "reason": "cannot do that"}
    with FakeCircusd(layout, lambda _: refusal), pytest.raises(PackhorseError) as error:
        Circus(layout).watchers()
    assert error.value.message == "circusd refused status: cannot do that"
    assert error.value.detail == "starting\nTraceback: no such user"
    assert str(layout.circusd_log) in error.value.hint


def test_a_circus_that_hangs_is_not_awaited_for_ever(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait has a deadline."""
    monkeypatch.setattr(circusd, "ANSWER_TIMEOUT", 0.1)
    with (
        FakeCircusd(layout, lambda _: None),
        pytest.raises(PackhorseError, match="circusd hangs: it did not answer status"),
    ):
        Circus(layout).watchers()


def test_a_circus_that_is_killed_is_not_awaited(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain may take a day, and its answer never comes."""
    with ended_process() as process:
        monkeypatch.setattr(Circus, "_process", lambda _: [process])
        with FakeCircusd(layout, lambda _: None), pytest.raises(PackhorseError, match="circusd was killed"):
            Circus(layout).reload()


def test_a_drain_is_over_when_its_processes_are(layout: Layout) -> None:
    """circus notices that later: a tenth of a deploy."""

    def answer(command: Command) -> Command | None:
        if command["command"] == "reloadconfig":
            return None
        return {"status": "ok", "statuses": {"web.1": "stopping", "web.2": "active"}, "pids": []}

    with FakeCircusd(layout, answer) as fake:
        Circus(layout).reload({"web.1": [NOBODY]})
    assert fake.commands == ["reloadconfig", "status", "list"]


def test_a_watcher_that_was_restarted_meanwhile_is_not_drained(layout: Layout) -> None:
    """circus replaced a dead process just before it took the command: the new one serves on."""
    pids = iter([[9], [9], []])

    def answer(command: Command) -> Command | None:
        if command["command"] == "reloadconfig":
            return None
        if command["command"] == "list":
            return {"status": "ok", "pids": next(pids)}
        return {"status": "ok", "statuses": {"web.1": "stopping"}}

    with FakeCircusd(layout, answer) as fake:
        Circus(layout).reload({"web.1": [NOBODY]})
    assert fake.commands.count("list") == 3


def test_below_systemd_circusd_is_awaited_and_never_started(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not be in systemd's control group; who looks after it is named."""
    monkeypatch.setattr(circusd, "START_TIMEOUT", 0.05)
    layout.circusd_log.write_text("no space left\n")
    with pytest.raises(PackhorseError, match="systemd has not started it") as error:
        Circus(layout, supervised=True).start()
    assert error.value.hint == "Look at: systemctl status packhorse@shop"
    assert error.value.detail == "no space left"


def test_below_systemd_a_stop_empties_circusd_and_leaves_it(layout: Layout) -> None:
    """systemd would start it again."""
    Circus(layout, supervised=True).stop()
    with FakeCircusd(layout, lambda _: {"status": "ok"}) as fake:
        Circus(layout, supervised=True).stop()
    assert fake.commands == ["reloadconfig"]


def test_a_circusd_that_ends_at_once_is_shown_with_its_log(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for its socket until the deadline."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    layout.circusd_log.write_text("ImportError: no zmq\n")
    with pytest.raises(PackhorseError, match=r"circusd did not start\.") as error:
        Circus(layout).start()
    assert error.value.detail == "ImportError: no zmq"

"""Run a one-off on hosts with our input and output: pass on bytes, signals and the size of the terminal."""

import base64
import contextlib
import os
import queue
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from packhorse import console
from release.agents import controller, schedule
from release.agents.connection import LAST, Connection
from release.agents.controller import Events, Outcome
from release.host.request import Request

PIECE = 32768
PIECES = 16
"""Pieces of input that are on their way to a host, and events that are on their way from one."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
TYPE = "dumb"  # of a terminal of which we know nothing

WriteOutput = Callable[[str, int, bytes], None]
"""Takes what a host has written: its name, the stream (1 or 2), the bytes."""


def terminal() -> dict[str, Any]:
    """Our terminal, as a `Run` describes it."""
    kind = os.environ.get("TERM", "")
    return {
        **dict(zip(("rows", "columns"), _size(), strict=True)),
        "type": kind if kind.isprintable() else TYPE,
    }


def _size() -> tuple[int, int]:
    columns, rows = shutil.get_terminal_size()
    return rows, columns


def run(
    connections: Mapping[str, Connection],
    requests: Mapping[str, Request],
    output: WriteOutput,
    source: int | None,
    *,
    typed: bool,
) -> Outcome:
    """Let all hosts run their command at the same time, and wait until each has ended.

    The input is the descriptor `source`, None: there is none; `typed`: it is a terminal in raw mode. The
    first Ctrl-C or SIGTERM is passed on; the second, SIGHUP, and one before the start, let all hosts end it.
    """
    session = _Session(connections, source, typed=typed)
    for name, connection in connections.items():
        arguments = (name, connection, requests[name], session.events)
        threading.Thread(target=controller.listen, args=arguments, daemon=True).start()
    with session.signals(), controller.pulse(connections):
        while any(host.stage is not schedule.Stage.ENDED for host in session.hosts.values()):
            name, event = controller.next_event(session.events)
            if isinstance(event, BaseException):
                raise event
            if event["event"] == "output":
                output(name, event["stream"], event["data"])
            session.take(name, event)
    return Outcome(tuple(session.hosts.values()), session.stopped)


class Keys:
    """Finds, in what is typed, the keys that leave a terminal, as in ssh: Enter ~ . (and ~ ~ for one ~)."""

    def __init__(self) -> None:
        self.left = False
        self._fresh, self._held = True, False

    def passed_on(self, data: bytes) -> bytes:
        """The part of `data` that is for the command."""
        out = bytearray()
        for key in data:
            if self._held:
                self._held = False
                if key == ord("."):
                    self.left = True
                    break
                if key != ord("~"):
                    out += b"~"
            elif self._fresh and key == ord("~"):
                self._held = True
                continue
            out.append(key)
            self._fresh = key in b"\r\n"
        return bytes(out)


class _Session:
    """The state of all hosts, and the threads that send them orders and input."""

    def __init__(self, connections: Mapping[str, Connection], source: int | None, *, typed: bool) -> None:
        self.connections, self.source, self.typed = connections, source, typed
        self.events: Events = queue.Queue(PIECES * len(connections))
        self.hosts = {name: schedule.HostState(name) for name in connections}
        self.room = {name: threading.Semaphore(PIECES) for name in connections}
        self.orders = queue.SimpleQueue[dict[str, Any] | None]()  # signal handlers may put into it
        self.stopped: str | None = None
        self.interrupted = False
        self.coming = set(connections)
        threading.Thread(target=self._send, daemon=True).start()

    def take(self, name: str, event: schedule.Event) -> None:
        """Take an event of host `name`."""
        self.hosts[name] = schedule.after_event(self.hosts[name], event)
        if event["event"] in {"taken", *LAST}:
            self.room[name].release()
        if event["event"] in {"ready", *LAST} and name in self.coming:
            self.coming.remove(name)
            if not self.coming:  # all get the same input
                threading.Thread(target=self._feed, daemon=True).start()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Handle signals as `run` says, inside the block."""
        handled = (*PASSED_ON, signal.SIGHUP, signal.SIGWINCH)
        before = {number: signal.signal(number, self._handle) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGWINCH:
            self.orders.put({"window": _size()})
            return
        ends = number in {signal.SIGINT, signal.SIGTERM}
        if number == signal.SIGHUP or self.coming or (ends and self.interrupted):
            self._close("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
            return
        if ends and not self.typed:
            self.interrupted = True
            console.echo("It was told to stop; once more ends it.", err=True)
        self.orders.put({"signal": signal.Signals(number).name.removeprefix("SIG")})

    def _close(self, reason: str) -> None:
        self.stopped = reason
        self.orders.put(None)

    def _send(self) -> None:
        while (order := self.orders.get()) is not None:
            for connection in self.connections.values():
                connection.send(order)
        for connection in self.connections.values():
            connection.close()

    def _feed(self) -> None:
        """Send our input, as fast as the slowest host takes it."""
        keys = Keys()
        while data := self._read():
            data = keys.passed_on(data) if self.typed else data
            if data:
                self._input(base64.b64encode(data).decode())
            if keys.left:
                self._close("Enter ~ .")
                return
        if self.typed:
            self._close("The terminal has gone")
        else:
            self._input(None)

    def _read(self) -> bytes:
        try:
            return b"" if self.source is None else os.read(self.source, PIECE)
        except OSError:  # EIO: our terminal has gone
            return b""

    def _input(self, data: str | None) -> None:
        for name, connection in self.connections.items():
            if self.hosts[name].stage is not schedule.Stage.ENDED:
                self.room[name].acquire()
                connection.send({"input": data})

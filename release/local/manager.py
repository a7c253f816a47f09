"""Run processes side by side until one ends or the user stops them: start, read, restart, stop all."""

import codecs
import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from packhorse.errors import PackhorseError
from release.local import formation, launcher
from release.local.formation import LocalProcess
from release.local.output import ProcessOutput

GRACE = 5.0
"""Seconds that processes have to end after TERM, as honcho and foreman give them."""
LONGEST = 64 * 1024
"""Characters after which a line is printed in pieces: who never ends one does not get all our memory."""
POLL = 0.05
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Ended:
    """A process has ended with `status`, 128 and the signal for one that was killed, as in a shell."""

    name: str
    pid: int
    status: int


@dataclass(frozen=True)
class Signalled:
    """Signal `number` has reached us: Ctrl-C, or the end of the terminal."""

    number: int


@dataclass(frozen=True)
class Changed:
    """The files `paths` of the project have changed."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A thread of ours cannot go on, because of `error`."""

    error: PackhorseError


LocalEvent = Ended | Signalled | Changed | Failed
LocalEvents = queue.SimpleQueue[LocalEvent]


@dataclass
class Manager:
    """Runs `processes` in the folder `project`, and prints what they write to `output`.

    With `keep_going`, one that ends leaves the others running. With `reload`, all start anew when the project
    changes, and wait for that when all have ended: it reads processes and environment again, and raises
    PackhorseError for a file that is wrong.
    """

    project: Path
    processes: Sequence[LocalProcess]
    environment: Mapping[str, str]
    output: ProcessOutput
    events: LocalEvents
    keep_going: bool = False
    reload: Callable[[], tuple[Sequence[LocalProcess], Mapping[str, str]]] | None = None

    def __post_init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.readers: dict[str, threading.Thread] = {}
        self.first_failure: Ended | None = None
        self.found_port_taken: set[str] = set()
        self.output_failed = False

    def run(self) -> int:
        """Run until all have ended, and return the exit status: 128 and the signal when we were stopped.

        Raises PackhorseError that names the process that ended the rest by a failure.
        """
        if sys.platform == "linux":  # processes that leave their parents become ours
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        with _signals(self.events):
            try:
                return self._run()
            finally:
                self._stop(0)

    def _run(self) -> int:
        self._start()
        while True:
            match self.events.get():
                case Ended() as ended if self._is_current(ended):
                    self._ended(ended)
                    if not self.keep_going or (not self.running and not self.reload):
                        return self._finish(ended)
                case Signalled() as stop:
                    self._interrupt(stop)
                    return 128 + stop.number
                case Changed() as changed:
                    if stopped := self._restart(changed):
                        return 128 + stopped.number
                case Failed() as failed:
                    self._stop(GRACE)
                    raise failed.error

    def _start(self) -> None:
        for process in self.processes:
            listener = process.listener
            descriptor = str(listener.fileno()) if listener else "-"
            started = subprocess.Popen(
                [sys.executable, "-IS", launcher.__file__, descriptor, *formation.arguments(process.line)],
                cwd=self.project,
                env=formation.environment(process, self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()] if listener else [],
                start_new_session=True,  # Ctrl-C reaches us alone
            )
            self.running[process.name] = started
            reader, waiter = (
                threading.Thread(target=work, args=(process.name, started), daemon=True)
                for work in (self._read, self._wait)
            )
            reader.start()
            waiter.start()
            self.readers[process.name] = reader

    def _read(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Print what `process` writes, until nobody is left who could write."""
        assert process.stdout  # noqa: S101  # for mypy: it is a pipe
        decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
        with process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), LONGEST):
                *lines, rest = (rest + decoder.decode(chunk)).split("\n")
                if len(rest) > LONGEST:
                    lines, rest = [*lines, rest], ""
                self._print(name, lines)
            if rest := rest + decoder.decode(b"", final=True):
                self._print(name, [rest])

    def _print(self, name: str, lines: Sequence[str]) -> None:
        if self.output_failed:
            return
        if any("ddress already in use" in line for line in lines):
            self.found_port_taken.add(name)
        try:
            self.output.write(name, [line.removesuffix("\r") for line in lines])
        except OSError as error:  # such as `release local | head`
            self.output_failed = True
            reason = f"The output cannot be written: {error.strerror}."
            self.events.put(Failed(PackhorseError(reason, "Nobody reads it any more, or the disk is full.")))

    def _wait(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        status = process.wait()
        self.events.put(Ended(name, process.pid, status if status >= 0 else 128 - status))

    def _is_current(self, ended: Ended) -> bool:
        """Whether the process runs as far as we know: not one that a restart has stopped."""
        return ended.name in self.running and self.running[ended.name].pid == ended.pid

    def _ended(self, ended: Ended) -> None:
        del self.running[ended.name]
        self.readers[ended.name].join(0.5)  # its last lines come first; a daemon of it may keep the pipe
        waits = "; all have ended, a change starts them again" if self.reload and not self.running else ""
        self._say(f"{ended.name} {_how(ended.status)}{waits}.")
        if ended.status and not self.first_failure:
            self.first_failure = ended

    def _finish(self, last: Ended) -> int:
        """Stop the rest; the exit status is that of the process that ended first by a failure."""
        if self.running:
            self._say(f"Stopping {', '.join(self.running)}.")
        if stop := self._stop(GRACE):
            return 128 + stop.number
        cause = self.first_failure or last
        if not cause.status:
            return 0
        own_port = (
            "A server that opens its port itself names it in the Procfile (… --port $PORT); one that takes "
            "the open socket comes last in a line of several commands, after exec."
        )
        above = "What it wrote is above. With --keep-going, the others run on."
        taken = cause.name in self.found_port_taken
        failure = PackhorseError(f"{cause.name} {_how(cause.status)}.", own_port if taken else above)
        failure.exit_code = cause.status
        raise failure

    def _interrupt(self, stop: Signalled) -> None:
        again = "; once more kills them" if stop.number == signal.SIGINT else ""
        self._say(f"{signal.Signals(stop.number).name}: stopping all, within {GRACE:g} s{again}.")
        self._stop(GRACE)

    def _restart(self, changed: Changed) -> Signalled | None:
        """Start all processes anew; files that are wrong leave everything as it is."""
        more = f" and {len(changed.paths) - 3} more" if len(changed.paths) > 3 else ""
        what = f"{', '.join(changed.paths[:3])}{more} changed"
        assert self.reload  # noqa: S101  # for mypy: who watches also reloads
        try:
            processes, environment = self.reload()
        except PackhorseError as error:
            self._say(f"{what}; nothing was restarted: {error.message}\n{error.hint}")
            return None
        self._say(f"{what}: restarting.")
        if stop := self._stop(GRACE):
            return stop
        self.processes, self.environment, self.first_failure = processes, environment, None
        self._start()
        return None

    def _stop(self, grace: float) -> Signalled | None:
        """End all processes, also those that left their parents: TERM, after `grace` seconds KILL.

        Another signal to us kills them at once; it is returned.
        """
        stop, deadline = None, time.monotonic() + grace
        _signal(_descendants(), signal.SIGTERM if grace else signal.SIGKILL)
        while alive := _descendants():
            if time.monotonic() > deadline:
                if deadline and grace:
                    self._say(f"Killing what has not ended: {', '.join(map(_name, alive))}.")
                deadline = 0.0
                _signal(alive, signal.SIGKILL)
            with contextlib.suppress(queue.Empty):
                if isinstance(event := self.events.get(timeout=POLL), Signalled):
                    stop, deadline = event, 0.0
        self.running.clear()
        for reader in self.readers.values():
            reader.join(2)  # what is in the pipes; a terminal that has stopped does not hold us up
        self.readers.clear()
        return stop

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self.output.say(text)


def _how(status: int) -> str:
    if status > 128:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(status - 128).name}"
    return f"ended with status {status}"


def _descendants() -> list[psutil.Process]:
    """All live processes below this one, also those that their parents have left to it."""
    alive = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return f"{process.name()} ({process.pid})"
    return str(process.pid)


@contextlib.contextmanager
def _signals(events: LocalEvents) -> Iterator[None]:
    """Put signals that stop us into `events`."""

    def handle(number: int, _frame: FrameType | None) -> None:
        events.put(Signalled(number))

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Run a one-off process with the current release: pass on its input, output and signals, and log it.

Orders from the client: {"input": BASE64}, or null for the end of the input; {"window": [ROWS, COLUMNS]};
{"signal": NAME}. Events: "ready"; "output" with `stream` (1 or 2) and `data` (BASE64); "taken", for each
piece of input that the process has got: the client keeps a few pieces on the way, so that neither end stores
more than that.
"""

import base64
import contextlib
import fcntl
import os
import queue
import secrets
import select
import shlex
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands.releases import reconcile
from release.host.control.session import Session, StoppedError
from release.host.disk import jobs, journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Job
from release.host.disk.one_off_log import OneOffLog
from release.host.processes import oneoffs
from release.host.processes.circus_ini import Supervisor
from release.host.request import Run

SIGNALS = ("INT", "TERM", "QUIT", "HUP", "USR1", "USR2")
"""The signals that a client may pass on."""
PIECE = 65536
LAST_OUTPUT = 1.0
"""Seconds without output after its end, when somebody else has got the other end of a pipe."""
TIMER = "timer"
"""Who starts jobs when they are due."""
KILLED = 137
SHOWN = 500
"""Characters of a command in the journal and in its log."""


class RunsAlreadyError(PackhorseError):
    """The job runs, and may not run twice at the same time."""


def run(layout: Layout, request: Run, circus: Supervisor, session: Session) -> dict[str, object]:
    """Run the command, or job, to its end, and return its status.

    Raises PackhorseError when it does not start.
    """
    if request.job is None:
        return _run(layout, request, circus, session, None)
    number = _choose(layout, request)
    known = {job.name: job for job in releases.read_manifest(layout, number).jobs}
    if request.job not in known:
        raise PackhorseError(
            f"Release {number} of {layout.app} has no job {request.job}.",
            f"Its jobs: {', '.join(known)}" if known else "Jobs are listed in release.toml: targets.….jobs",
        )
    job = known[request.job]
    request = replace(request, arguments=["/bin/sh", "-c", job.command])
    with jobs.running(layout, job.name, overlap=job.overlap) as free:
        if not (free or job.overlap):
            raise RunsAlreadyError(
                f"{job.name} runs already.", 'Wait for its end; overlap = "allow" lets it run twice.'
            )
        return _run(layout, request, circus, session, job)


def _run(
    layout: Layout, request: Run, circus: Supervisor, session: Session, job: Job | None
) -> dict[str, object]:
    what = f"job {job.name}" if job else shlex.join(request.arguments)
    what = what if len(what) <= SHOWN else f"{what[:SHOWN]} …"
    number, one_off = oneoffs.start(
        *(layout, circus, session, lambda: _choose(layout, request)),
        command=request.arguments,
        terminal=request.terminal,
    )
    name, began = secrets.token_hex(4), time.monotonic()
    log = OneOffLog(layout, number, name, one_off.pid, job.name if job else "run")
    log.write(f"{what}: started by {request.by}")
    note = _Notes(layout, job, request.by, number, name)
    note.began(what)
    streams = _Streams(one_off, session, log, terminal=request.terminal is not None)
    timed_out = threading.Event()

    def end_late() -> None:
        timed_out.set()  # first: the command may have ended before the timer counts as finished
        one_off.end()

    late = threading.Timer(job.timeout if job and job.timeout else threading.TIMEOUT_MAX, end_late)
    late.daemon = True
    late.start()
    status = streams.pass_on()
    late.cancel()
    end = "was killed" if status is None else f"ended with status {status}"
    end += f" after {time.monotonic() - began:.1f} s" + (", its timeout" if timed_out.is_set() else "")
    log.write(f"{what}: {end}")
    note.ended(status, end)
    if session.controller.stop.is_set():
        raise StoppedError(f"Stopped: {session.controller.reason}", f"What it wrote: {log.path}")
    if status is None:
        raise PackhorseError(
            f"{what} was killed, and so was what watched it: by an operator, by a restart of its circusd, or "
            "as memory ran out.",
            f"Look at: journalctl -u packhorse@{layout.app}, and at {log.path}",
        )
    return {"app": layout.app, "release": number, "run": name, "status": status}


@dataclass(frozen=True)
class _Notes:
    """Notes about a one-off: people's are in the journal, each last one of a job is in its state."""

    layout: Layout
    job: Job | None
    by: str
    number: int
    name: str
    at: str = field(default_factory=journal.now)

    def began(self, what: str) -> None:
        if self.by != TIMER:  # one every minute would let the journal grow without end
            journal.note(self.layout.journal, f"run {what} ({self.name})", self.by, self.number)
        self._write()

    def ended(self, status: int | None, end: str) -> None:
        if self.by != TIMER:
            journal.note(self.layout.journal, f"run {self.name} {end}", self.by, self.number)
        failure = {} if status == 0 else {"reason": end}
        self._write(ended=journal.now(), status=KILLED if status is None else status, **failure)

    def _write(self, **more: object) -> None:
        if self.job:
            state = {"began": self.at, "by": self.by, "release": self.number, "run": self.name, **more}
            jobs.write(self.layout, self.job.name, "last", **state)


def _choose(layout: Layout, request: Run) -> int:
    """The release to run with: the one that was named, else the last good one while another is on trial."""
    there = [number for number in releases.numbers(layout) if releases.is_ready(layout, number)]
    number = reconcile.committed(layout) if request.release is None else request.release
    if number in there:
        return number
    if number is None and there:
        raise PackhorseError(
            f"No release of {layout.app} has ever served here.",
            f"Run it with one that failed: release run {request.target_name} --release {there[-1]} -- …",
        )
    if number is None:
        raise PackhorseError(
            f"{layout.app} has never been deployed here.", f"Deploy it: release deploy {request.target_name}"
        )
    raise PackhorseError(
        f"{layout.app} has no release {number} here.",
        f"The releases here are: {', '.join(map(str, there)) or 'none'}",
    )


@dataclass
class _Streams:
    """The input and output of a one-off on their way between it and the client.

    Threads read and write, as each may wait: for a slow client, or for a command that reads nothing.
    """

    one_off: oneoffs.OneOff
    session: Session
    log: OneOffLog
    terminal: bool
    ended: threading.Event = field(default_factory=threading.Event)
    given: "queue.SimpleQueue[bytes | None]" = field(default_factory=queue.SimpleQueue)
    emitting: threading.Lock = field(default_factory=threading.Lock)

    def pass_on(self) -> int | None:
        """Pass everything on until it has ended, or the client has; return its status."""
        stop, descriptors = self.session.controller.stop, self.one_off.files
        outputs = descriptors if self.terminal else descriptors[1:]
        readers = [
            threading.Thread(target=self._read, args=(stream, descriptor), daemon=True)
            for stream, descriptor in enumerate(outputs, 1)
        ]
        others = [threading.Thread(target=each, daemon=True) for each in (self._write, self._leave)]
        self.session.controller.receive = self._receive
        self._emit(event="ready")
        for thread in readers + others:
            thread.start()
        status = self.one_off.wait()
        self.ended.set()
        for reader in readers:  # one may be waiting for a client that has gone
            while reader.is_alive() and not stop.is_set():
                reader.join(0.1)
        self.log.flush()
        return status

    def _emit(self, **event: object) -> None:
        with self.emitting:
            self.session.emit(dict(event))

    def _receive(self, order: Mapping[str, Any]) -> None:
        if "input" in order:
            self.given.put(None if order["input"] is None else base64.b64decode(order["input"]))
        elif "window" in order and self.terminal:
            size = struct.pack("4H", *order["window"], 0, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.one_off.files[0], termios.TIOCSWINSZ, size)
        elif order.get("signal") in SIGNALS:
            self.one_off.signal(signal.Signals[f"SIG{order['signal']}"])

    def _write(self) -> None:
        descriptor = self.one_off.files[0]
        while (data := self.given.get()) is not None:
            with contextlib.suppress(OSError):  # it reads no more
                while data:
                    data = data[os.write(descriptor, data) :]
            self._emit(event="taken")
        if not self.terminal:
            os.close(descriptor)
            return
        with contextlib.suppress(OSError):  # --tty, but the input is a file or a pipe, which has an end
            os.write(descriptor, b"\x04")

    def _read(self, stream: int, descriptor: int) -> None:
        while True:
            if not select.select([descriptor], [], [], LAST_OUTPUT)[0]:
                if self.ended.is_set():
                    break
                continue
            try:
                data = os.read(descriptor, PIECE)
            except OSError:  # EIO: nobody has the terminal any more
                break
            if not data:
                break
            if not self.terminal:
                self.log.output(stream, data)
            self._emit(event="output", stream=stream, data=base64.b64encode(data).decode())

    def _leave(self) -> None:
        self.session.controller.stop.wait()
        self.one_off.end()

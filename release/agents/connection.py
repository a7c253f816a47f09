"""Connections to agents: one process per host, events and orders as JSON lines."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from packhorse.errors import PackhorseError
from release.agents import agent_archive
from release.host.request import Request, encode

Event = dict[str, Any]
LAST = ("result", "error")
"""The events that end a conversation."""

# Connecting has a limit of its own; this is for a host that lets us in and then does nothing.
GREETING_TIMEOUT = 60.0
ENDING_TIMEOUT = 10.0
LEAVING_TIMEOUT = 1.0
STOPPED = 130
"""The exit code of a command, and of an agent, that stopped because it was ordered to."""
LARGEST_EVENT = 2**26
"""Bytes of a line: an answer is far from it, and what a shell prints without an end fills no memory."""
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "agent": {"present": bool},
    "step": {"name": str, "text": str},
    "command": {"command": list},
    "line": {"process": str, "text": str},
    "warning": {"text": str},
    "gate": {"name": str},
    "content": {"content": dict},
    "logs": {"names": list, "now": str},
    "lines": {"lines": list},
    "caught up": {"positions": dict},
    "ready": {},
    "taken": {},
    "output": {"stream": int, "data": str},
    "result": {},
    "error": {"message": str, "hint": str, "detail": str, "exit_code": int},
}
"""Events of agents, and the fields that each has for sure."""
STDERR_KEPT = 8192
"""Bytes of the end of a process's stderr that its error shows."""


class Destination(Protocol):
    """A place where an agent runs, and the way there."""

    @property
    def name(self) -> str:
        """Its name in release.toml."""

    def command(self) -> list[str]:
        """The argument list of the process that becomes the agent, with its stdin and stdout."""

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        """Explain the end of that process with `status`, without an answer; `greeted`: after its greeting."""


@dataclass(frozen=True)
class LocalDestination:
    """This machine, as this user; the agent is kept in `folder`."""

    folder: str
    name: str = "local"

    @classmethod
    def below(cls, home: Path, name: str) -> Self:
        """Below PACKHORSE_HOME, for the applications of all targets that name no hosts."""
        return cls(str(home / "agent"), name)

    def command(self) -> list[str]:
        return agent_archive.command(sys.executable, self.folder)

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        what = "ended without an answer" if greeted else "did not start"
        return PackhorseError(
            f"The agent {what} (status {status}).",
            f"Run: release status {self.name}; it repairs what was left half done.",
            detail=stderr,
        )


class Connection(Protocol):
    """One agent at work. `events` is used by one thread, the rest by another."""

    def events(self, request: Request) -> Iterator[Event]:
        """Send it `request`, and yield its events up to the last one.

        Raises PackhorseError when it ends without one.
        """

    def send(self, order: Mapping[str, Any]) -> None:
        """Send the order that it waits for."""

    def pulse(self) -> None:
        """Send a sign of life."""

    def close(self) -> None:
        """Ask it to stop at the next safe point; its last event comes all the same."""


class AgentProcess:
    """The agent at `destination`, started now: it loads its modules while the request is being made.

    It has a session of its own, so that Ctrl-C in a terminal hits only us; should we die, it gets EOF.
    Raises PackhorseError when there is no program to start.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.lock = threading.Lock()  # of stdin, once it is ready
        self.ready = False
        self.has_reader = False  # a thread that closes stdout itself: nobody else can while it reads
        self.killed: PackhorseError | None = None  # why, if it was by us
        command = destination.command()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the rest, in __exit__
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            self.errors.close()
            raise PackhorseError(
                f"There is no program {command[0]}.", "Install it; OpenSSH, for ssh."
            ) from error
        assert self.process.stdin  # noqa: S101  # for mypy: it is a pipe
        assert self.process.stdout  # noqa: S101
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, and wait a moment: its work ends at the next safe point, if need be without us."""
        self.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LEAVING_TIMEOUT)
        for file in (self.errors, self.stdin, *(() if self.has_reader else (self.stdout,))):
            with contextlib.suppress(OSError):
                file.close()

    def events(self, request: Request) -> Iterator[Event]:
        self.has_reader = True
        with self.stdout:
            yield from self._events(request)

    def _events(self, request: Request) -> Iterator[Event]:
        silent = PackhorseError(
            f"The agent was silent for {GREETING_TIMEOUT:g} s after its start.",
            "Look at that machine: a full memory or a hanging disk would do that.",
        )
        watchdog = threading.Timer(GREETING_TIMEOUT, self._kill, [silent])
        watchdog.start()
        greeting = self.stdout.readline(LARGEST_EVENT)
        watchdog.cancel()
        if greeting:
            self._begin(request, present=bool(self._event(greeting).get("present")))
            for line in iter(lambda: self.stdout.readline(LARGEST_EVENT), b""):
                event = self._event(line)
                if event["event"] in LAST:
                    self._end()
                yield event
                if event["event"] in LAST:
                    return
        status = self.process.wait()
        raise self.killed or self.destination.explain(status, self._stderr(), greeted=bool(greeting))

    def _kill(self, reason: PackhorseError) -> None:
        self.killed = reason
        self.process.kill()

    def _event(self, line: bytes) -> Event:
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            name = event.get("event") if isinstance(event, dict) else None
            fields = _FIELDS.get(name, {}) if isinstance(name, str) else {"event": str}
            if isinstance(event, dict) and all(
                isinstance(event.get(field), kind) for field, kind in fields.items()
            ):
                return _checked(event)
        raise PackhorseError(
            f"something else than the agent speaks: {line[:80].decode(errors='replace')!r}",
            "Let the login shell there print nothing on its own: look at its .bashrc and .profile.",
        )

    def _begin(self, request: Request, *, present: bool) -> None:
        if not present:
            self._write(agent_archive.archive().data)
        with self.lock:
            self._write(encode(request))
            self.ready = True

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was closed: events() says how
            self.stdin.write(data)
            self.stdin.flush()

    def _end(self) -> None:
        """Wait for the end after the last event; what hangs then is ours, not the work there."""
        try:
            self.process.wait(ENDING_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _stderr(self) -> str:
        size = self.errors.seek(0, os.SEEK_END)
        return (
            os.pread(self.errors.fileno(), STDERR_KEPT, max(0, size - STDERR_KEPT))
            .decode(errors="replace")
            .strip()
        )

    def send(self, order: Mapping[str, Any]) -> None:
        with self.lock:
            self._write(json.dumps(order).encode() + b"\n")

    def pulse(self) -> None:
        if self.ready:
            with self.lock:
                self._write(b"\n")

    def close(self) -> None:
        if not self.ready:  # somebody may be writing the archive: there is no agent yet that would mind
            stopped = PackhorseError("Stopped before it began.", "Run the command again.")
            stopped.exit_code = STOPPED
            self._kill(stopped)
            return
        with self.lock, contextlib.suppress(OSError):
            self.stdin.close()


@contextlib.contextmanager
def checked_answer(host: str = "it") -> Iterator[None]:
    """Turn what a wrong answer of `host` leads to inside the block into PackhorseError: others go on."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PackhorseError(
            f"{host} answered what no agent of ours does: {repr(error)[:200]}.", "Look at what runs there."
        ) from error


def _checked(event: Event) -> Event:
    """`event`, with its data as bytes. Raises ValueError for what no agent sends: it may be compromised."""
    if event["event"] == "output":
        if event["stream"] is True or event["stream"] not in (1, 2):  # another one is no terminal of ours
            raise ValueError(event["stream"])
        return {**event, "data": base64.b64decode(event["data"])}
    if event["event"] == "error":
        if event["exit_code"] is True or not 0 < event["exit_code"] < 256:
            raise ValueError(event["exit_code"])
        return {**event, **{key: event[key].replace("\n", " ") for key in ("message", "hint")}}
    return event

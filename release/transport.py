"""A request in, events out: one agent per host, here as a local process."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

from packhorse.errors import PackhorseError

Event = dict[str, Any]


class Conversation(Protocol):
    """One agent at work."""

    def send(self, request: Mapping[str, Any]) -> None:
        """Tell it what to do."""

    def events(self) -> Iterator[Event]:
        """What it says, until its last event. Raises PackhorseError when it ends without one."""

    def ask_to_stop(self) -> None:
        """Let it stop at the next safe point; its last event comes all the same."""


class Transport(Protocol):
    """A way to a host."""

    def open(self) -> Conversation:
        """Start an agent there: it gets ready while we find out what to ask."""


class Local:
    """This machine, as this user. The agent has a session of its own: Ctrl-C in a terminal hits only us."""

    def open(self) -> "Process":
        return Process([sys.executable, "-Im", "release.host"])


class Process:
    """An agent at the other end of two pipes; what it writes on stderr (a bug's traceback) passes through.

    Without a request it ends as soon as we do: its stdin is closed then.
    """

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdin is not None  # noqa: S101  # for mypy: it is a pipe
        self.stdin = self.process.stdin

    def send(self, request: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended: events() says how
            self.stdin.write(json.dumps(request).encode() + b"\n")
            self.stdin.flush()

    def events(self) -> Iterator[Event]:
        assert self.process.stdout is not None  # noqa: S101  # for mypy: it is a pipe
        last = False
        with self.process, self.process.stdout as lines:
            for line in lines:
                event: Event = json.loads(line)
                last = event["event"] in {"result", "error"}
                yield event
        if not last:
            raise PackhorseError(
                f"The agent ended without an answer (status {self.process.returncode}).",
                "Run: release status local; it repairs what was left half done.",
            )

    def ask_to_stop(self) -> None:
        self.stdin.close()


def converse(
    conversation: Conversation,
    request: Mapping[str, Any],
    show: Callable[[Event], None],
    say: Callable[[str], None],
) -> Event:
    """Carry out `request` and return its result: `show` gets the events before it.

    `say` is told, inside a signal handler, what Ctrl-C does. Raises PackhorseError with the agent's words
    when it reports an error.
    """

    def stop() -> None:
        say("Stopping at the next safe point …")
        conversation.ask_to_stop()

    conversation.send(request)
    with _ctrl_c(stop):
        for event in conversation.events():
            if event["event"] == "error":
                error = PackhorseError(event["message"], event["hint"], detail=event["detail"])
                error.exit_code = event["exit_code"]
                raise error
            if event["event"] == "result":
                return {key: value for key, value in event.items() if key != "event"}
            show(event)
    raise AssertionError("events() ends with a last event, or raises")


@contextlib.contextmanager
def _ctrl_c(action: Callable[[], object]) -> Iterator[None]:
    """Call `action` on Ctrl-C instead of raising KeyboardInterrupt in the middle of reading an event."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        action()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Show the progress of all hosts on stderr: on a terminal rows that change in place, else lines."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from packhorse import console

if TYPE_CHECKING:
    from rich.text import Text

    from release.agents.connection import Event

ShowEvent = Callable[[str, "Event"], None]


class Verbosity(IntEnum):
    """Levels of output: no progress, the steps, or the commands that run, too."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


LONGEST = 200
"""Characters of a word of a command, or of the text of a step, that are shown."""
_WAITS = {
    "lock": "Connected",
    "agreement": "Waits for the others to agree on the release",
    "start": "Ready, waits for its turn",
    "switch": "Healthy, waits until the balancers have it out",
    "verdict": "Healthy, waits for the others",
}


def words(event: "Event") -> tuple[str, str] | None:
    """The name of the step that begins with `event`, and a sentence about it; None if it is no progress."""
    match event["event"]:
        case "step" | "warning":
            found = event.get("name", "warning"), event["text"]
        case "gate":
            found = "wait", _WAITS.get(event["name"], event["name"])
        case "stop":
            found = "stop", f"{event['reason']}: stopping at the next safe point …"
        case "line":
            found = event["process"], event["text"]
        case "command":
            found = "command", command_line(event["command"])
        case "result" | "error":
            found = "end", event.get("message") or ("Switched back" if event.get("reverted") else "Done")
        case _:
            return None
    return found


def command_line(command: Sequence[str]) -> str:
    """A command as a shell would take it; long words, such as a program after `python -c`, are cut."""
    return " ".join(word if len(word) < LONGEST else f"{word[:20]}…" for word in map(shlex.quote, command))


def is_answer(event: "Event") -> bool:
    """Whether `event` is the result of a command other than deploy and rollback, which prints it itself."""
    return event["event"] == "result" and "reverted" not in event


def on_terminal() -> bool:
    """Whether rows may change in place: a terminal that can, and no log of a job ($CI)."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def shown(
    hosts: list[str], verbosity: Verbosity = Verbosity.NORMAL
) -> "contextlib.AbstractContextManager[ShowEvent]":
    """Show events inside the block: steps of one host with their times; several as a table, or lines."""
    if verbosity == Verbosity.QUIET:
        return contextlib.nullcontext(_warnings)
    if not on_terminal():
        return _lines(hosts, verbosity)
    return _steps(verbosity) if len(hosts) == 1 else _table(hosts, verbosity)


def _warnings(host: str, event: "Event") -> None:
    """Show warnings alone: what is left of progress with --quiet."""
    if event["event"] == "warning":
        console.echo(f"Warning: {host}: {event['text']}", err=True)


class Times:
    """The seconds that each step of a host took, in their order; a step with the same name adds up."""

    def __init__(self) -> None:
        self.began = self.since = time.monotonic()
        self.step = "connect"
        self.seconds: dict[str, float] = {}

    def next(self, name: str) -> None:
        """The step `name` begins, or the host has ended ("end")."""
        now = time.monotonic()
        self.seconds[self.step] = self.seconds.get(self.step, 0) + now - self.since
        self.step, self.since = name, now

    def sentence(self) -> str:
        """Say how long all took, and each step of a tenth of a second or more."""
        steps = ", ".join(f"{name} {took:.1f} s" for name, took in self.seconds.items() if took >= 0.1)
        total = f"{self.since - self.began:.1f} s"
        return f"{total}: {steps}" if steps else total


@contextlib.contextmanager
def _steps(verbosity: Verbosity) -> Iterator[ShowEvent]:
    """One line for each step of the only host, ended by the seconds that it took."""
    began: float | None = None

    def show(_host: str, event: "Event") -> None:
        nonlocal began
        step = words(event)
        if step is None or event["event"] == "gate" or _left_out(event, verbosity):  # nobody else to wait for
            return
        if began is not None:
            console.echo(f"  {time.monotonic() - began:.2f} s", err=True)
            began = None
        if event["event"] in {"step", "warning", "stop"}:
            console.echo(f"  {step[0]:10}{step[1]}", nl=False, err=True)
            began = time.monotonic()
        elif event["event"] in {"line", "command"}:
            console.echo(f"  {step[0]:10}{step[1]}", err=True)

    try:
        yield show
    finally:
        if began is not None:
            console.echo(err=True)


@contextlib.contextmanager
def _lines(hosts: list[str], verbosity: Verbosity) -> Iterator[ShowEvent]:
    """One line for each step of each host, which starts with the seconds since the beginning, and its name.

    The last one of a host has the seconds of its steps. The error of an only host is shown by others.
    """
    began, width = time.monotonic(), max(map(len, hosts))
    times = {host: Times() for host in hosts}

    def show(host: str, event: "Event") -> None:
        step = None if is_answer(event) or _left_out(event, verbosity) else words(event)
        if not step or (event["event"] == "error" and len(hosts) == 1):
            return
        name, text = step
        if host and event["event"] not in {"line", "command", "warning"}:
            times[host].next(name)
            text += f" ({times[host].sentence()})" if name == "end" else ""
        seconds = time.monotonic() - began
        for line in text.split("\n"):
            console.echo(f"{seconds:6.1f} s  {host:{width}}  {name:10}{line}", err=True)

    yield show


@contextlib.contextmanager
def _table(hosts: list[str], verbosity: Verbosity) -> Iterator[ShowEvent]:
    """A row for each host, which changes in place; what must not be overlooked, and output, goes above it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    rows = dict.fromkeys(hosts, ("connect", "Connecting"))
    times = {host: Times() for host in hosts}
    width = max(map(len, hosts))
    changed = False

    def show(host: str, event: "Event") -> None:
        nonlocal changed
        step = None if _left_out(event, verbosity) else words(event)
        if step and (not host or event["event"] in {"line", "command", "warning"}):
            for line in step[1].split("\n"):
                live.console.print(Text(console.printable(f"{host:{width}}  {step[0]:10}{line}")))
        elif step:
            rows[host] = step
            times[host].next(step[0])
            changed = changed or not is_answer(event)

    with Live(
        get_renderable=lambda: _drawn(rows, times), console=Console(stderr=True), transient=True
    ) as live:
        yield show
    for host, (name, _) in rows.items():
        if name == "end" and changed:
            console.echo(f"{host:{width}}  {times[host].sentence()}", err=True)


def _left_out(event: "Event", verbosity: Verbosity) -> bool:
    return event["event"] == "command" and verbosity < Verbosity.VERBOSE


def _drawn(rows: dict[str, tuple[str, str]], times: dict[str, Times]) -> "Text":
    """One line for each host, cut where the terminal ends, whatever the text has."""
    from rich.text import Text

    width, lines = max(map(len, rows)), []
    for host, (name, text) in rows.items():
        seconds = "" if name == "end" else f"{time.monotonic() - times[host].since:.0f} s"
        one_line = " ".join(text[:LONGEST].split())
        lines.append(console.printable(f"{host:{width}}  {name:10}{seconds:>5}  {one_line}"))
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

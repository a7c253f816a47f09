"""Show the progress of all hosts on stderr: a table on a terminal, else lines."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from packhorse import console

if TYPE_CHECKING:
    from rich.table import Table

    from release.deploy.connection import Event

Show = Callable[[str, "Event"], None]

_WAITS = {
    "lock": "Connected",
    "agreement": "Waits for the others to agree on the release",
    "start": "Installed, waits for its turn",
    "verdict": "Healthy, waits for the others",
}


def words(event: "Event") -> tuple[str, str] | None:
    """The name of the step that begins with `event`, and a sentence about it; None if it is no progress."""
    match event["event"]:
        case "step" | "warning":
            return event.get("name", "warning"), event["text"]
        case "gate":
            return "wait", _WAITS[event["name"]]
        case "stop":
            return "stop", f"{event['reason']}: stopping at the next safe point …"
        case "line":
            return event["process"], event["text"]
        case "result" | "error":
            return "end", event.get("message") or ("Switched back" if event.get("reverted") else "Done")
    return None


def is_answer(event: "Event") -> bool:
    """Whether `event` is the result of a command other than deploy and rollback, which prints it itself."""
    return event["event"] == "result" and "reverted" not in event


def shown(hosts: list[str]) -> "contextlib.AbstractContextManager[Show]":
    """Show events inside the block: steps of one host with their times; several as a table, or lines."""
    if len(hosts) == 1:
        return _steps()
    return _table(hosts) if sys.stderr.isatty() else _lines(max(map(len, hosts)))


@contextlib.contextmanager
def _steps() -> Iterator[Show]:
    """One line for each step, ended by the seconds that it took."""
    began: float | None = None

    def show(_host: str, event: "Event") -> None:
        nonlocal began
        step = words(event)
        if step is None or event["event"] == "gate":  # nobody else to wait for
            return
        if began is not None:
            console.echo(f"  {time.monotonic() - began:.2f} s", err=True)
            began = None
        if event["event"] in {"step", "warning", "stop"}:
            console.echo(f"  {step[0]:10}{step[1]}", nl=False, err=True)
            began = time.monotonic()
        elif event["event"] == "line":
            console.echo(f"  {step[0]:10}{step[1]}", err=True)

    try:
        yield show
    finally:
        if began is not None:
            console.echo(err=True)


@contextlib.contextmanager
def _lines(width: int) -> Iterator[Show]:
    """One line for each step of each host, which starts with its name and the seconds since the beginning."""
    began = time.monotonic()

    def show(host: str, event: "Event") -> None:
        step = None if is_answer(event) else words(event)
        if step:
            seconds = time.monotonic() - began
            console.echo(f"{seconds:6.1f} s  {host:{width}}  {step[0]:10}{step[1]}", err=True)

    yield show


@contextlib.contextmanager
def _table(hosts: list[str]) -> Iterator[Show]:
    """A row for each host, which changes in place."""
    from rich.console import Console
    from rich.live import Live

    rows = dict.fromkeys(hosts, ("connect", "Connecting"))
    since = dict.fromkeys(hosts, time.monotonic())

    def show(host: str, event: "Event") -> None:
        step = words(event)
        if step and host:
            rows[host], since[host] = step, time.monotonic()
        elif step:
            live.console.print(console.printable(step[1]), markup=False, highlight=False)

    with Live(
        get_renderable=lambda: _drawn(rows, since), console=Console(stderr=True), transient=True
    ) as live:
        yield show


def _drawn(rows: dict[str, tuple[str, str]], since: dict[str, float]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("host", "step", "", "s", box=None)
    for host, (name, text) in rows.items():
        seconds = "" if name == "end" else f"{time.monotonic() - since[host]:.0f}"
        table.add_row(*(Text(console.printable(cell)) for cell in (host, name, text, seconds)))
    return table

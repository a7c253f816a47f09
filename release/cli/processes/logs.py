"""The command `release logs`: what the processes of a target wrote, in order of time."""

import base64
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from release.inspect.log_collector import Line, Remark

LINES, MOST_LINES = 100, 1_000_000
WIDEST = 40
"""Characters of the column of the process."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_yellow")
_BROKEN = re.compile("[\udc80-\udcff]")
"""Bytes that are no UTF-8 (PEP 383)."""


def _processes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The process types of the project, its jobs, and what else has logs, for completion."""
    from release.host.formats import procfile

    try:
        types = procfile.parse((context.find_root().params["project"] / procfile.NAME).read_bytes(), "")
    except (OSError, PackhorseError):
        types = {}
    found = [name for name in dict.fromkeys([*types, "run"]) if name.startswith(incomplete)]
    return found + target_command.jobs(context, parameter, incomplete)


def _since(_context: click.Context, _parameter: click.Parameter, value: str) -> dict[str, Any]:
    """Fields of the request for `10m`, `2h`, `1d`, or a time."""
    if not value:
        return {}
    found = re.fullmatch(r"(\d{1,9})([smhdw])", value)
    if found and (ago := float(int(found[1]) * _UNITS[found[2]])) < datetime.now(UTC).timestamp():
        return {"ago": ago}
    try:
        day = datetime.now(UTC).date()
        clock = re.fullmatch(r"\d\d:\d\d(:\d\d)?", value)
        at = datetime.combine(day, time.fromisoformat(value)) if clock else datetime.fromisoformat(value)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter("write it as 10m, 2h or 1d, or as a time: 2026-11-26T05:13") from None
    return {"since": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise click.BadParameter(f"this is no regular expression: {error}") from None
    return value


class _Show(click.Command):
    """The command of a group without a word of its own."""

    class context_class(click.Context):  # noqa: N801  # click's name
        """Its context, whose path ends in no blank."""

        @property
        def command_path(self) -> str:
            """The words of the command, which precede its arguments."""
            return super().command_path.rstrip()


class _Group(click.Group):
    """A group that is its command "" when the first word is none of the others; its help is that one's.

    `show` is its name for targets that are named like one of the others.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else [""]))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "", self.commands[""], args

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        target = self.commands[""].params[0]
        return [*super().shell_complete(ctx, incomplete), *target.shell_complete(ctx, incomplete)]


@click.group(
    cls=_Group,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def logs() -> None:
    """Print what the processes on TARGET wrote, follow it, or send it to journald or syslog."""


@click.command(cls=_Show, hidden=True)
@target_command.argument
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, MOST_LINES),
    metavar="N",
    help=f"How many of the last lines, of all together.  [default: {LINES}; with --since: all]",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "--process",
    "processes",
    multiple=True,
    metavar="TYPE",
    shell_complete=_processes,
    help="Only of this process type or job, of release (the release phase) or run (one-offs); several times.",
)
@click.option(
    "--since",
    default="",
    metavar="TIME",
    callback=_since,
    help="Nothing older: 10m, 2h, 1d, or a time (UTC), such as 2026-11-26T05:13 or 05:13.",
)
@click.option(
    "--release",
    type=click.IntRange(1),
    metavar="N",
    shell_complete=target_command.releases,
    help="Only of release N.",
)
@click.option(
    "--grep",
    default="",
    metavar="TEXT",
    callback=_pattern,
    help="Only lines that have TEXT, a regular expression; (?i) before it ignores case.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON object.")
@click.pass_obj
def show(
    project: Path,
    target: str,
    *,
    lines: int | None,
    follow: bool,
    processes: tuple[str, ...],
    since: Mapping[str, Any],
    release: int | None,
    grep: str,
    as_json: bool,
) -> None:
    """Print what the processes on TARGET wrote: all hosts, processes and releases, in order of time.

    Each line has its time (UTC), its host when there are several, and process type and release. The release
    phase and one-off processes are in it, too. -f goes on over deploys, and reconnects to a host that was
    away.

    \b
      release logs production -f --process web
      release logs production --since 10m --grep 'ERROR|Traceback'
      release logs production --since 1d --json | jq -r .text
      release logs drain production --to journald       send all lines there from now on

    Control characters are written out (\\x1b): a terminal would obey them.
    """
    command = target_command.begin(project, target)
    from release.deploy import requests
    from release.host.request import Logs
    from release.inspect import log_collector

    fields = {"follow": follow, "processes": list(processes), "release": release, "grep": grep, **since}
    most = lines if lines is not None else (None if since else LINES)
    place = command.settings.app, command.target, command.home
    request = requests.request(Logs, *place, target_name=target, lines=most, **fields)
    printer = Printer(hosts := command.target.hosts or [])
    print_lines = print_json if as_json else printer.show
    ending = contextlib.suppress(KeyboardInterrupt) if follow else contextlib.nullcontext()
    with command.agents() as agents, ending:
        log_collector.collect(agents, request, print_lines, printer.tell, named=bool(hosts))


@logs.command()
@target_command.argument
@click.option(
    "--to",
    type=click.Choice(["journald", "syslog", "off"]),
    help="What takes the lines from now on; off: nothing.  [default: show how it is]",
)
@options.wait
@options.as_json
@click.pass_obj
def drain(project: Path, target: str, to: str | None, *, wait: float, as_json: bool) -> None:
    """Send all lines of TARGET's logs to journald or syslog of each host, too, for tools that look there.

    \b
      release logs drain production --to journald      and there: journalctl PACKHORSE_APP=shop
      release logs drain production                    what takes them, and how far that is
      release logs drain production --to off

    Each has its application, process type and release: as fields PACKHORSE_APP, PACKHORSE_PROCESS and
    PACKHORSE_RELEASE in journald, as tag APP/PROCESS.RELEASE[PID] in syslog. It stays so over deploys and
    reboots. A receiver that is slow or away is waited for; the application notices nothing.
    """
    command = target_command.begin(project, target)
    from release.host.request import LogDrain

    target_command.report(
        command, LogDrain, _drained, as_json=as_json, together=to is not None, to=to, lock_wait=wait
    )


def _drained(host: str, result: Mapping[str, Any]) -> None:
    if drain := result["drain"]:
        how = (
            f"{drain['behind']} bytes to send" if drain["running"] else "it does not run: see --process drain"
        )
        since = f"since {drain['at']} by {drain['by']}"
        console.echo(f"{result['app']} on {host}: logs go to {drain['to']}, {since}; {how}")
    else:
        console.echo(f"{result['app']} on {host}: logs go nowhere else.")


logs.commands[""] = logs.commands["show"] = show


class Printer:
    """Prints lines for people, in columns that grow with what they hold."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.several = len(hosts) > 1
        self.host_width = max(map(len, hosts), default=0)
        self.width = 0
        self.colours: dict[str, str] = {}

    def show(self, lines: "Sequence[Line]") -> None:
        """Print `lines`; bytes that are no UTF-8 as \\xff."""
        rows = []
        for line in lines:
            source = f"{line.process}.{line.release}" if line.release is not None else line.process
            self.width = max(self.width, min(len(source), WIDEST))
            at = f"{line.at[:23]}Z" if line.at else "-"
            host = f"{line.host:{self.host_width}}  " if self.several else ""
            colour = self.colours.setdefault(line.process, _COLOURS[len(self.colours) % len(_COLOURS)])
            text = _BROKEN.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", line.text)
            rows.append((f"{at:24}  {host}{source:{self.width}}", colour, text))
        console.echo_rows(rows)

    def tell(self, note: "Remark") -> None:
        """Print what happened to lines."""
        console.echo(f"{note.host}: {note.text}", err=True)


def print_json(lines: "Sequence[Line]") -> None:
    """Print `lines`, each as an object; what is no UTF-8 has its bytes in base64, too."""
    console.echo_rows([("", None, json.dumps(_table(line))) for line in lines])


def _table(line: "Line") -> dict[str, Any]:
    table = {**line._asdict(), "at": line.at or None}
    if _BROKEN.search(line.text):
        data = line.text.encode("utf-8", "surrogateescape")
        table["text"] = data.decode("utf-8", "replace")
        table["base64"] = base64.b64encode(data).decode()
    return table


COMMANDS = (logs,)

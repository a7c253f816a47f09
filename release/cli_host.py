"""The commands that talk to the agent of a host: deploy, status, logs, stop, start."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release import options

if TYPE_CHECKING:
    from release.transport import Conversation, Event

target_argument = click.argument("target")


class Steps:
    """Steps on stderr, one line each, with the seconds that each took."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.step_began: float | None = None

    def show(self, event: "Event") -> None:
        """Begin the line of a step, which ends the line of the step before it."""
        self.end()
        click.echo(f"  {event['name']:8}{event['text']}", nl=False, err=True)
        self.step_began = time.monotonic()

    def say(self, text: str) -> None:
        """Say something from a signal handler, which may be in the middle of a write to a stream."""
        ending = "\n" if self.step_began is not None else ""
        self.step_began = None
        os.write(2, f"{ending}{text}\n".encode())

    def end(self) -> None:
        """End the line of the step before, if there is one."""
        began, self.step_began = self.step_began, None
        if began is not None:
            click.echo(f"  {time.monotonic() - began:.2f} s", err=True)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.began


@click.command()
@target_argument
@click.argument("version", required=False, metavar="[NAME==VERSION]")
@options.index
@options.as_json
@click.pass_obj
def deploy(project: Path, target: str, version: str | None, index: str | None, *, as_json: bool) -> None:
    """Bring a version to TARGET and let it serve, without a failed request on the way.

    The newest version of the project is deployed when none is named. A version that does not become healthy
    leaves the old one serving.
    """
    steps, agent = Steps(), _agent(project, target)
    from release import config
    from release import deploy as deploys
    from release import index as indexes

    settings = config.load(project, index=index)
    where, home = config.index_url(settings, files.home()), files.home()
    wanted = deploys.parse(version or config.project_name(project))
    found = deploys.artifact(indexes.files(where, wanted.project, indexes.get), wanted, where)
    request = deploys.deploy_request(settings, settings.target(target), found, where, home)
    result = _converse(agent, request, steps)
    if as_json:
        console.emit_json({**result, "seconds": round(steps.seconds, 2)})
    elif result["unchanged"]:
        click.echo(
            f"{result['project']} {result['version']} runs already, with this configuration, "
            f"as release {result['release']} on {target}: {result['url']}"
        )
    else:
        click.echo(
            f"{result['project']} {result['version']} is release {result['release']} on {target}: "
            f"{result['url']}  ({steps.seconds:.1f} s)"
        )


@click.command()
@target_argument
@options.as_json
@click.pass_obj
def status(project: Path, target: str, *, as_json: bool) -> None:
    """Show what runs on TARGET; what a killed command left half done is repaired first."""
    result = _ask(project, target, "status")
    if as_json:
        console.emit_json(result)
        return
    if result["state"] == "none":
        click.echo(f"{result['app']} has never been deployed to {target}.")
    else:
        click.echo(
            f"{result['app']} on {target}: {result['state']}, {result['project']} {result['version']} "
            f"(release {result['release']}), {result['url']}"
        )
    if result["note"]:
        click.echo(result["note"])
    if result["processes"]:
        _table(result["processes"])


def _table(processes: list[dict[str, Any]]) -> None:
    head = ["process", "release", "version", "pids", "health", "uptime", "address"]
    texts = [
        {**row, "pids": " ".join(map(str, row["pids"])) or "-", "uptime": f"{row['uptime']} s"}
        for row in processes
    ]
    rows = [[str(row[key]) for key in head] for row in texts]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in [head, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.command()
@target_argument
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines of each process.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("--release", type=int, metavar="N", help="Of release N.  [default: the current one]")
@click.pass_obj
def logs(project: Path, target: str, lines: int, release: int | None, *, follow: bool) -> None:
    """Print what the processes on TARGET wrote."""
    _ask(project, target, "logs", lines=lines, follow=follow, release=release)


@click.command()
@target_argument
@click.pass_obj
def stop(project: Path, target: str) -> None:
    """Stop the application on TARGET, after the requests that it works on."""
    click.echo(f"{_ask(project, target, 'stop')['app']} is stopped on {target}.")


@click.command()
@target_argument
@click.pass_obj
def start(project: Path, target: str) -> None:
    """Start the application on TARGET again, as it was stopped."""
    result = _ask(project, target, "start")
    click.echo(f"{result['project']} {result['version']} runs on {target}: {result['url']}")


def _ask(project: Path, target: str, command: str, **more: object) -> dict[str, Any]:
    """The agent's answer to a command that needs no more than the application's name."""
    agent = _agent(project, target)
    from release import config
    from release import deploy as deploys

    settings = config.load(project)
    settings.target(target)
    return _converse(agent, deploys.request(command, settings.app, files.home(), **more), Steps())


def _agent(project: Path, target: str) -> "Conversation":
    """An agent on `target`, which gets ready while slow imports and the index take their time here."""
    if target != "local":
        from release import config

        config.load(project).target(target)
        raise PackhorseError(f"{target}: only the target local can be reached so far.", "Use: local")
    from release import transport

    return transport.Local().open()


def _converse(agent: "Conversation", request: dict[str, Any], steps: Steps) -> dict[str, Any]:
    from release import transport

    def show(event: "Event") -> None:
        if event["event"] == "line":
            sys.stdout.write(f"{event['text']}\n")
            sys.stdout.flush()
        else:
            steps.show(event)

    try:
        return transport.converse(agent, request, show, steps.say)
    finally:
        steps.end()


COMMANDS = (deploy, status, logs, stop, start)

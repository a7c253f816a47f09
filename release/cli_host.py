"""The commands that look at what runs on a target, stop it and start it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from release import cli_target, options

if TYPE_CHECKING:
    from release.transport import Event


@click.command()
@cli_target.argument
@options.as_json
@click.pass_obj
def status(project: Path, target: str, *, as_json: bool) -> None:
    """Show what runs on TARGET; what a killed command left half done is repaired first."""
    chosen = cli_target.choose(project, target)
    outcome = cli_target.ask(chosen, "status")
    if as_json:
        chosen.emit_json(outcome)
    else:
        for host, answer in cli_target.answers(outcome):
            _status(host.name, answer)
    chosen.finish(outcome)


def _status(host: str, result: Mapping[str, Any]) -> None:
    if result["state"] == "none":
        click.echo(f"{result['app']} has never been deployed to {host}.")
    else:
        click.echo(
            f"{result['app']} on {host}: {result['state']}, {result['project']} {result['version']} "
            f"(release {result['release']}), {result['url']}"
        )
    if result["note"]:
        click.echo(result["note"])
    if result["processes"]:
        head = ["process", "release", "version", "pids", "health", "uptime", "address"]
        rows = [
            {**row, "pids": " ".join(map(str, row["pids"])) or "-", "uptime": f"{row['uptime']} s"}
            for row in result["processes"]
        ]
        cli_target.table(head, [[row[key] for key in head] for row in rows])


@click.command()
@cli_target.argument
@options.as_json
@click.pass_obj
def releases(project: Path, target: str, *, as_json: bool) -> None:
    """List the releases on TARGET: what changed, by whom and when, and what became of each."""
    chosen = cli_target.choose(project, target)
    outcome = cli_target.ask(chosen, "releases")
    if as_json:
        chosen.emit_json(outcome)
    else:
        head = ["release", "version", "state", "changed", "by", "at", "reason"]
        for host, answer in cli_target.answers(outcome):
            click.echo(f"{answer['app']} on {host.name}:")
            cli_target.table(head, [[row[key] for key in head] for row in answer["releases"]])
    chosen.finish(outcome)


@click.command()
@cli_target.argument
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines of each process.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("--release", type=int, metavar="N", help="Of release N.  [default: the current one]")
@click.pass_obj
def logs(project: Path, target: str, lines: int, release: int | None, *, follow: bool) -> None:
    """Print what the processes on TARGET wrote; with several hosts, each line starts with its host."""
    chosen = cli_target.choose(project, target)
    several = len(chosen.target.hosts or []) > 1

    def show(host: str, event: "Event") -> None:
        if event["event"] == "line":
            sys.stdout.write(f"{host}  {event['text']}\n" if several else f"{event['text']}\n")
            sys.stdout.flush()

    chosen.finish(cli_target.ask(chosen, "logs", show, lines=lines, follow=follow, release=release))


@click.command()
@cli_target.argument
@click.pass_obj
def stop(project: Path, target: str) -> None:
    """Stop the application on TARGET, after the requests that it works on."""
    chosen = cli_target.choose(project, target)
    outcome = cli_target.ask(chosen, "stop")
    for host, answer in cli_target.answers(outcome):
        click.echo(f"{answer['app']} is stopped on {host.name}.")
    chosen.finish(outcome)


@click.command()
@cli_target.argument
@click.pass_obj
def start(project: Path, target: str) -> None:
    """Start the application on TARGET again, as it was stopped."""
    chosen = cli_target.choose(project, target)
    outcome = cli_target.ask(chosen, "start")
    for host, answer in cli_target.answers(outcome):
        click.echo(f"{answer['project']} {answer['version']} runs on {host.name}: {answer['url']}")
    chosen.finish(outcome)


COMMANDS = (status, releases, logs, stop, start)

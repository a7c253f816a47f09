"""The commands on a whole application: status, start, stop, journal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from packhorse import console
from release.cli import options, target_command


@click.command()
@target_command.argument
@options.as_json
@click.pass_obj
def status(project: Path, target: str, *, as_json: bool) -> None:
    """Show what runs on TARGET; what a killed command left half done is repaired first."""
    command = target_command.begin(project, target)
    from release.deploy import outcome as outcomes
    from release.host.request import Status
    from release.variables import drift

    with command.balancers(lambda _name, _text: None) as balancers:
        outcome = target_command.ask(command, Status)
        thoughts = balancers.ask() if balancers else {}
    behind = outcomes.behind(outcome)
    if as_json:
        command.emit_json(outcome, behind=behind, balancers=outcomes.balancers_as_json(thoughts))
    else:
        target_command.print_each(outcome, _status)
        for host, newest in behind.items():
            source = next(each.name for each in outcome.hosts if (each.last or {}).get("release") == newest)
            console.echo(
                f"{host} is behind, as {source} has release {newest}: {drift.remedy(target, source)}"
            )
        for line in outcomes.balancers(thoughts):
            console.echo(line)
    command.finish(outcome)


def _status(host: str, result: Mapping[str, Any]) -> None:
    from release.deploy import outcome as outcomes

    if result["state"] == "none":
        console.echo(f"{result['app']} has never been deployed to {host}.")
    else:
        console.echo(
            f"{result['app']} on {host}: {result['state']}, {result['project']} {result['version']} "
            f"(release {result['release']}), {outcomes.access([result])}"
        )
    if result["note"]:
        console.echo(result["note"])
    if secured := result.get("certificate"):
        console.echo(f"Certificate: {secured['text']}{'. ' * bool(secured['advice'])}{secured['advice']}")
    if result["maintenance"]:
        console.echo(outcomes.maintenance(result["maintenance"]))
    if result["processes"]:
        head = ["process", "release", "version", "pids", "health", "uptime", "address"]
        rows = [
            {**row, "pids": " ".join(map(str, row["pids"])) or "-", "uptime": f"{row['uptime']} s"}
            for row in result["processes"]
        ]
        target_command.table(head, [[row[key] for key in head] for row in rows])


@click.command()
@target_command.argument
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many entries of each host, the newest ones.",
)
@options.as_json
@click.pass_obj
def journal(project: Path, target: str, lines: int, *, as_json: bool) -> None:
    """Show what was done on TARGET, by whom and when: releases, configuration, and all other commands.

    The oldest comes first; several hosts are merged in order of time, which is UTC.
    """
    command = target_command.begin(project, target)
    from release.host.request import Journal
    from release.inspect import record

    outcome = target_command.ask(command, Journal, lines=lines)
    if as_json:
        command.emit_json(outcome)
    else:
        for line in record.lines(outcome):
            console.echo(line)
    command.finish(outcome)


@click.command()
@target_command.argument
@options.wait
@options.as_json
@click.pass_obj
def stop(project: Path, target: str, *, wait: float, as_json: bool) -> None:
    """Stop the application on TARGET, after the requests that it works on."""
    command = target_command.begin(project, target)
    from release.host.request import Stop

    target_command.report(command, Stop, _stopped, as_json=as_json, together=True, lock_wait=wait)


def _stopped(host: str, result: Mapping[str, Any]) -> None:
    console.echo(f"{result['app']} is stopped on {host}.")


@click.command()
@target_command.argument
@options.wait
@options.as_json
@click.pass_obj
def start(project: Path, target: str, *, wait: float, as_json: bool) -> None:
    """Start the application on TARGET again, as it was stopped."""
    command = target_command.begin(project, target)
    from release.host.request import Start

    target_command.report(command, Start, _started, as_json=as_json, together=True, lock_wait=wait)


def _started(host: str, result: Mapping[str, Any]) -> None:
    from release.deploy import outcome as outcomes

    console.echo(f"{result['project']} {result['version']} runs on {host}: {outcomes.access([result])}")


COMMANDS = (status, start, stop, journal)

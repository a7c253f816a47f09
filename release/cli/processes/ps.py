"""The commands on the processes of a target: list, scale, restart, stop and start them."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from release.agents.controller import Outcome
    from release.cli.target_command import TargetCommand


def _types(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The process types of the project's Procfile, for completion."""
    from release.host.formats import procfile

    with contextlib.suppress(PackhorseError, OSError):
        path = context.find_root().params["project"] / procfile.NAME
        types = procfile.parse(path.read_bytes(), procfile.NAME)
        return [name for name in types if name.startswith(incomplete) and name != "release"]
    return []


@click.command()
@target_command.argument
@click.argument("counts", nargs=-1, metavar="[TYPE=N]...", shell_complete=_types)
@options.wait
@options.as_json
@click.pass_obj
def scale(project: Path, target: str, counts: tuple[str, ...], *, wait: float, as_json: bool) -> None:
    """Run N processes of each TYPE on every host of TARGET, such as web=3 worker=2; else show how many run.

    No request is dropped, and no release is made. The numbers stay over deploys, rollbacks and reboots;
    before the first deploy they are kept for it. A first deploy starts one process of each type. A type that
    comes later has none until it is scaled, but for web, which has one.

    \b
      release scale production web=3 worker=2
      release scale production worker=0         stops all workers
    """
    wanted = _parse(counts)
    command = target_command.begin(project, target)
    from release.host.request import Scale

    outcome = target_command.ask(command, Scale, together=bool(wanted), counts=wanted, lock_wait=wait)
    _report(command, outcome, _scaled, as_json=as_json)


def _parse(words: tuple[str, ...]) -> dict[str, int]:
    """Process type -> number, of words such as "web=3". Raises PackhorseError."""
    import re

    from release.host.disk import scale as scales

    counts: dict[str, int] = {}
    for word in words:
        process, _, number = word.partition("=")
        if not re.fullmatch("[0-9]{1,9}", number):
            raise PackhorseError(
                f'"{word}" is no process type with a number.', "Write TYPE=N, such as web=3 worker=2"
            )
        if process in counts:
            raise PackhorseError(f"{process} is there twice.", "Name each process type once.")
        scales.check(process, int(number))
        counts[process] = int(number)
    return counts


def _scaled(host: str, result: Mapping[str, Any]) -> None:
    scaled = [
        f"{process}={count}{' (stopped)' if process in result['stopped'] else ''}"
        for process, count in result["scale"].items()
    ]
    kept = "" if result["release"] else ", kept for the first deploy"
    console.echo(f"{result['app']} on {host}: {' '.join(scaled) or 'nothing is scaled yet'}{kept}")


@click.group(cls=target_command.Group, subcommand_metavar="TARGET | COMMAND …")
def ps() -> None:
    """Show the processes on TARGET, or restart, stop and start them.

    \b
      release ps production                    which there are, since when, restarts, CPU, memory
      release ps restart production            new processes of the same release, host after host
      release ps stop production worker        no worker until it is started, also after deploys
      release ps start production worker
    """


@ps.command()
@target_command.argument
@options.as_json
@click.pass_obj
def show(project: Path, target: str, *, as_json: bool) -> None:
    """Show the processes on TARGET (release ps TARGET does the same).

    CPU is in percent of one processor, memory what lies in RAM, both with all that the process has started.
    Restarts are those of the last hour; "?" until circusd has been restarted with this version of Packhorse.
    """
    command = target_command.begin(project, target)
    from release.host.request import Ps

    _report(command, target_command.ask(command, Ps), _listed, as_json=as_json)


def _report(
    command: "TargetCommand",
    outcome: "Outcome",
    each: Callable[[str, Mapping[str, Any]], None],
    *,
    as_json: bool,
) -> None:
    """Print what all hosts answered, and in which numbers of processes they differ."""
    from release.inspect import formation

    if as_json:
        command.emit_json(outcome, differing=formation.differing(outcome))
    else:
        target_command.print_each(outcome, each)
        if remedy := formation.remedy(outcome, command.name):
            console.echo(remedy)
    command.finish(outcome)


def _listed(host: str, result: Mapping[str, Any]) -> None:
    from release.deploy import outcome
    from release.inspect import formation, job_table

    if result["release"] is None:
        console.echo(f"{result['app']} has never been deployed to {host}.")
        return
    console.echo(f"{result['app']} on {host}: {result['project']} {result['version']}")
    if result["maintenance"]:
        console.echo(outcome.maintenance(result["maintenance"]))
    target_command.table(formation.HEAD, formation.rows(result))
    if result.get("jobs"):
        target_command.table(job_table.HEAD, list(job_table.rows(result["jobs"])))
    for text in formation.loops(result):
        console.echo(text)


_type = click.argument("process", required=False, metavar="[TYPE]", shell_complete=_types)


@ps.command()
@target_command.argument
@_type
@options.wait
@options.as_json
@click.pass_obj
def restart(project: Path, target: str, process: str | None, *, wait: float, as_json: bool) -> None:
    """Replace the processes of TYPE, or all, by new ones of the same release.

    New processes of web take over when they are healthy, and no request is dropped; others start when the old
    ones have ended. The first host goes first, then a batch at a time; when one fails, the rest stay as they
    are.
    """
    command = target_command.begin(project, target)
    from release.agents import controller, schedule
    from release.deploy import requests
    from release.host.request import Restart

    request = requests.request(
        Restart,
        *(command.settings.app, command.target, command.home),
        target_name=command.name,
        process=process,
        lock_wait=wait,
        gates=schedule.RESTART_GATES,
    )
    with command.agents() as agents, target_command.progress_of(agents) as shown:
        requested = dict.fromkeys(agents, request)
        outcome = controller.run(agents, requested, shown, command.target.batch_size)
    if as_json:
        command.emit_json(outcome)
    else:
        target_command.print_each(outcome, _restarted)
    command.finish(outcome)


def _restarted(host: str, result: Mapping[str, Any]) -> None:
    console.echo(f"{result['app']} on {host}: restarted {', '.join(result['restarted'])}")


@ps.command("stop")
@target_command.argument
@_type
@options.wait
@options.as_json
@click.pass_obj
def stop_type(project: Path, target: str, process: str | None, *, wait: float, as_json: bool) -> None:
    """Stop the processes of TYPE, or all, until they are started again; also over boots.

    They end after the requests that they work on. A deploy starts an application that is stopped, but no
    single type.
    """
    command = target_command.begin(project, target)
    from release.host.request import Stop

    target_command.report(
        command, Stop, _stopped, as_json=as_json, together=True, process=process, lock_wait=wait
    )


def _stopped(host: str, result: Mapping[str, Any]) -> None:
    console.echo(f"{result['process'] or result['app']} is stopped on {host}.")


@ps.command("start")
@target_command.argument
@_type
@options.wait
@options.as_json
@click.pass_obj
def start_type(project: Path, target: str, process: str | None, *, wait: float, as_json: bool) -> None:
    """Start the processes of TYPE, or all, again: as many as there were."""
    command = target_command.begin(project, target)
    from release.host.request import Start

    target_command.report(
        command, Start, _started, as_json=as_json, together=True, process=process, lock_wait=wait
    )


def _started(host: str, result: Mapping[str, Any]) -> None:
    console.echo(f"{result['process'] or result['app']} is started on {host}.")


COMMANDS = (ps, scale)

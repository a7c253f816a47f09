"""The commands on the processes of a target: how many there are of each type."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command


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
    from release.deploy import formation
    from release.host.request import Scale

    outcome = target_command.ask(command, Scale, counts=wanted, lock_wait=wait)
    if as_json:
        command.emit_json(outcome, differing=formation.differing(outcome))
    else:
        target_command.print_each(outcome, _scaled)
        if remedy := formation.remedy(outcome, target):
            console.echo(remedy)
    command.finish(outcome)


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


COMMANDS = (scale,)

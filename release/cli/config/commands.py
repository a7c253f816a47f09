"""The commands that read and change the configuration of a target: variables of its environment."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from packhorse import console, process
from packhorse.errors import PackhorseError
from release.cli import options, target_command
from release.cli.config import changes

if TYPE_CHECKING:
    from release.agents.controller import Outcome
    from release.cli.target_command import TargetCommand

MASK = "********"


@click.group()
def config() -> None:
    """Set the variables that an application gets: passwords, keys, addresses.

    \b
    release config set production DATABASE_URL     asks for the value, or reads standard input
    release config set production TLS_KEY=@key.pem DEBUG=0
    release config set production --from-env-file .env.production
    release config edit production                 all of them, in $EDITOR
    release config list production                 their names; with --reveal their values, too

    Values lie on the hosts, in files that the application and who deploys it can read. A change is a new
    release with a number: its processes start beside the old ones, and take over when they are healthy;
    `release rollback` takes it back. Before the first deploy, values are kept for that.

    What is set here wins over what a deploy brings along by release.toml: `secrets`, the command of `config`,
    and `env`, in this order.
    """


def _complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that release.toml mentions: to ask the hosts would take a second."""
    from release.config import release_toml

    try:
        settings = release_toml.load(context.find_root().params["project"])
        known = {*settings.required, *settings.target(context.params["target"]).env}
    except (PackhorseError, KeyError):
        return []
    return sorted(name for name in known if name.startswith(incomplete))


@config.command("set")
@target_command.argument
@click.argument(
    "assignments", nargs=-1, metavar="[NAME | NAME=@FILE | NAME=VALUE]...", shell_complete=_complete
)
@click.option(
    "--from-env-file",
    "env_file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Set all that FILE has (-: standard input): lines NAME=VALUE, with quotes, without expansions.",
)
@options.how
@options.index
@options.as_json
@click.pass_obj
def set_(
    project: Path,
    /,
    target: str,
    assignments: tuple[str, ...],
    env_file: Path | None,
    **how: Unpack[changes.How],
) -> None:
    """Set variables on all hosts of TARGET, all of them in one new release.

    NAME alone asks for its value, or reads standard input when that is no terminal; the newline that ends a
    single line is not part of it. NAME=@FILE takes the bytes of a file as they are. NAME=VALUE is quick, and
    leaves the value in the history of your shell.
    """
    process.hide_arguments(assignments)
    from release.variables import values

    if not assignments and env_file is None:
        raise PackhorseError(
            "There is nothing to set.", f"Name a variable: release config set {target} DATABASE_URL"
        )
    given = values.read(assignments, env_file, _ask_for_value, sys.stdin.buffer.read)
    if given.typed:
        console.echo(
            f"Warning: your shell's history has the value of {', '.join(given.typed)} now. "
            f"Give the name alone, and the command asks for it.",
            err=True,
        )
    for note in given.notes:
        console.echo(f"Note: {note}", err=True)
    changes.change(project, target, given.values, **how)


def _ask_for_value(name: str) -> bytes:
    if sys.stdin.isatty():
        return console.ask_hidden(name)
    from release.variables import values

    return values.without_last_newline(sys.stdin.buffer.read())


@config.command()
@target_command.argument
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete)
@options.how
@options.index
@options.as_json
@click.pass_obj
def unset(project: Path, /, target: str, names: tuple[str, ...], **how: Unpack[changes.How]) -> None:
    """Remove variables on all hosts of TARGET; one that release.toml has, too, gets that value again."""
    changes.change(project, target, unset=names, **how)


@config.command()
@target_command.argument
@click.option(
    "--from", "source", metavar="HOST", required=True, help="The host of TARGET that has the right one."
)
@options.how
@options.index
@options.as_json
@click.pass_obj
def sync(project: Path, /, target: str, source: str, **how: Unpack[changes.How]) -> None:
    """Let all hosts of TARGET run what HOST runs: its version with its configuration, as a new release.

    For hosts that differ, because one was down while the others were changed. Code comes from the index.
    """
    changes.change(project, target, source=source, **how)


@config.command()
@target_command.argument
@options.how
@options.index
@options.as_json
@click.pass_obj
def edit(project: Path, /, target: str, **how: Unpack[changes.How]) -> None:
    """Edit what is set on TARGET in $VISUAL or $EDITOR; all changes are one new release.

    Only what you change is sent: what a colleague sets meanwhile stays.
    """
    from release.variables import drift, editing

    command, outcome = changes.read(project, target, reveal=True)
    _refuse_drift(command, outcome)
    values = {row["name"]: row["value"] for row in drift.rows(outcome) if row["set"]}
    edited = editing.edit(values, target, _edit_again)
    if edited.values or edited.unset:
        changes.change(project, target, edited.values, edited.unset, **how)
    else:
        console.echo("Nothing was changed.")


def _edit_again(error: PackhorseError) -> bool:
    if not sys.stdin.isatty():
        return False
    console.show(error)
    return click.confirm("Edit it again?", default=True, err=True)


@config.command()
@target_command.argument
@click.argument("name", shell_complete=_complete)
@options.as_json
@click.pass_obj
def get(project: Path, target: str, name: str, *, as_json: bool) -> None:
    """Print the value of variable NAME on TARGET; into a pipe or a file its bytes, and nothing else."""
    from release.variables import drift

    command, outcome = changes.read(project, target, reveal=True, names=[name])
    _refuse_drift(command, outcome)
    rows = drift.rows(outcome)
    if not rows:
        raise PackhorseError(
            f"{name} is not set on {target}.", f"What is set there: release config list {target}"
        )
    if as_json:
        console.emit_json({"target": target, "name": name, "value": rows[0]["value"]})
    else:
        console.emit_bytes(os.fsencode(rows[0]["value"]))


@config.command("list")
@target_command.argument
@click.option("--reveal", is_flag=True, help="Show values, too.")
@options.as_json
@click.pass_obj
def list_(project: Path, target: str, *, reveal: bool, as_json: bool) -> None:
    """List the variables of TARGET: those that were set, and those that came with the last deploy.

    What release.toml requires and nobody has set is listed, too; hosts that differ are named.
    """
    from release.agents.connection import checked_answer
    from release.variables import drift

    command, outcome = changes.read(project, target, reveal=reveal)
    with checked_answer(f"A host of {target}"):
        found = [_shown(row) for row in drift.rows(outcome)]
        different, warning = drift.names(outcome), drift.sentence(outcome)
    if not found:
        command.finish(outcome)  # a host that is down may have some
    missing = sorted(set(command.settings.required) - {row["name"] for row in found})
    if as_json:
        console.emit_json(
            {
                "target": target,
                "variables": found,
                "missing": missing,
                "hosts": [
                    {"host": host.name, "release": (host.last or {}).get("release")} for host in outcome.hosts
                ],
                "different": different,
            }
        )
    else:
        lines = [(row["name"], row["from"], _one_line(row.get("value", MASK))) for row in found]
        lines += [(name, "nowhere", "required by release.toml") for name in missing]
        if lines:
            target_command.table(("name", "from", "value"), lines)
        else:
            console.echo(f"Nothing is set on {target}. To set something: release config set {target} NAME")
    if warning:
        console.echo(f"Warning: {warning} See: release config sync --help", err=True)
    command.finish(outcome)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    value = {"value": row["value"]} if "value" in row else {}
    return {"name": row["name"], **value, "from": "config" if row["set"] else "deploy"}


def _one_line(value: str) -> str:
    return value.replace("\n", "\\n").replace("\t", "\\t")


def _refuse_drift(command: "TargetCommand", outcome: "Outcome") -> None:
    """Raise PackhorseError unless all hosts have answered, and agree."""
    from release.variables import drift

    command.finish(outcome)
    if text := drift.sentence(outcome):
        raise PackhorseError(text, f"Choose whose is right: {drift.remedy(command.name)}")


COMMANDS = (config,)

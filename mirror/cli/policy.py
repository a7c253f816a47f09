"""Commands for policies: policy shows the rules in force, why the decisions about a project."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@click.option(
    "--log", "show_log", is_flag=True, help="Show the log of decisions instead, the last ones last."
)
@options.as_json
@click.pass_obj
def policy(path: Path | None, *, show_log: bool, as_json: bool) -> None:
    """Show the policies in force: which files of packages this mirror lists and serves.

    They are declared in mirror.toml, [policy] for all indexes and [indexes."company/prod".policy] for one;
    `mirror init` puts them in force. Needs the mirror to serve. The log has a line when the decisions about a
    package on an index have changed.
    """
    from mirror.policy import decisions, report

    log = decisions.read(options.folder().decisions)
    if show_log:
        _show(log, report.log_as_text(log), as_json=as_json)
        return
    answer = options.api().call("GET", "/+policies")
    note = options.note_of_difference(path, "policies", answer["settings"], options.config(path).policies)
    _show(answer, report.rules_as_text(answer, log) + note, as_json=as_json)


@click.command()
@click.argument("project", metavar="NAME[==VERSION]")
@options.index("Where it is asked for  [default: company/dev]")
@options.as_json
@click.pass_obj
def why(path: Path | None, project: str, index: str | None, *, as_json: bool) -> None:
    """Say which files of a package are listed, and which rule withholds the others.

    The same is at /USER/INDEX/+why/NAME for everybody. Exit status 1: nothing is listed. Needs the mirror to
    serve.
    """
    import sys

    from mirror.packages import yank as work
    from mirror.policy import report
    from mirror.policy import why as asking

    name, version = work.parse(project) if "==" in project else (project, None)
    on = index or options.config(path).default_index
    found = asking.ask(options.api(), on, report.name_of(name), version)
    _show(found, report.why_as_text(found), as_json=as_json)
    if not any(file["allowed"] for file in found["files"]):
        sys.exit(1)


def _show(value: object, text: str, *, as_json: bool) -> None:
    if as_json:
        console.emit_json(value)
    else:
        console.echo(text)


COMMANDS = (policy, why)

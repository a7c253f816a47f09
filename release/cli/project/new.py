"""`release new`: the files with which a project begins."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console
from release.cli import options

if TYPE_CHECKING:
    from release.new.starter import Starter


@click.command()
@click.option("--plan", is_flag=True, help="Print the files; write nothing.")
@options.index
@options.as_json
@click.pass_obj
def new(project: Path, *, plan: bool, index: str | None, as_json: bool) -> None:
    """Write what the project lacks: pyproject.toml, Procfile, MANIFEST.in, release.toml, .gitignore.

    The web application (Flask, Django, FastAPI, Starlette, any WSGI or ASGI) is found in the Python files,
    which are read, not run. Files that are there stay as they are; those that are new explain themselves.
    """
    from release.new import starter as starters

    starter = starters.plan(project, index)
    if not plan:
        starters.write(project, starter)
    if as_json:
        console.emit_json(
            {"app": starter.app, "files": starter.files, "kept": starter.kept, "advice": starter.advice}
        )
        return
    if plan:
        for name, content in starter.files.items():
            console.echo(f"{name}\n{content}")
        return
    _show(starter)


def _show(starter: "Starter") -> None:
    found = starter.application
    if found:
        console.echo(f"{starter.app} serves {found.reference} ({found.framework or found.interface}).")
    if starter.kept:
        console.echo(f"There already, and unchanged: {', '.join(starter.kept)}.")
    console.echo(f"Written: {', '.join(starter.files)}." if starter.files else "Nothing is missing.")
    for line in starter.advice:
        console.echo(line)
    console.echo("Look through them, then: release build, release upload, release deploy local")

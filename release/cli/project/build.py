"""The commands that make artifacts of a project: build, lock."""

import dataclasses
from pathlib import Path

import click

from packhorse import console
from release.cli import options


@click.command()
@click.option("--sdist", is_flag=True, help="Build the sdist.  [default: sdist and wheel]")
@click.option("--wheel", is_flag=True, help="Build the wheel.  [default: sdist and wheel]")
@click.option(
    "--check/--no-check",
    default=True,
    help="Import what the Procfile names from the wheel: a second, a minute at most.  [default: check]",
)
@options.sign
@options.outdir
@options.index
@options.as_json
@click.pass_obj
def build(
    project: Path,
    *,
    sdist: bool,
    wheel: bool,
    check: bool,
    sign: Path | None,
    outdir: Path | None,
    index: str | None,
    as_json: bool,
) -> None:
    """Build the project, lock its dependencies, stamp both into the artifacts.

    A project without a Procfile is a library: it is built for the upload, without a lock. Build requirements
    and dependencies come from the company index. The same commit gives the same bytes.
    """
    from release import context as contexts
    from release.build import artifacts as builder
    from release.build import source_tree as projects

    projects.pyproject(project)  # without one there is nothing to build, whatever the index
    selected = {builder.SDIST: sdist, builder.WHEEL: wheel}
    kinds = [kind for kind in selected if selected[kind]] or list(selected)
    context = dataclasses.replace(contexts.of_project(project, index), check=check)
    with console.working(f"Building {project.name}"):
        result = builder.build(project, outdir or project / "dist", kinds, context, sign)
    if result.library:
        console.echo("There is no Procfile: this is a library, to be uploaded and not deployed.", err=True)
    if result.lock_is_new:
        console.echo(f"{result.lock} is new: commit it.", err=True)
    if result.manifest.dirty:
        console.echo("The project has changes that are not committed; the manifest says so.", err=True)
    for warning in result.warnings:
        console.echo(f"Warning: {warning}", err=True)
    if as_json:
        console.emit_json(result.as_json())
    else:
        for item in result.artifacts:
            console.echo(f"{_short(item.path)}  {item.size / 1000:.1f} kB  sha256 {item.sha256}")


def _short(path: Path) -> Path:
    """`path` as seen from here, when it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@click.command()
@click.option("--upgrade", is_flag=True, help="Take the newest versions that the dependencies allow.")
@click.option(
    "--requirements", is_flag=True, help="Change nothing: print the lock as requirement lines for pip and uv."
)
@options.index
@click.pass_obj
def lock(project: Path, *, upgrade: bool, requirements: bool, index: str | None) -> None:
    """Make or renew pylock.toml: every dependency with version and hashes, for every Python and platform.

    Versions stay as they are as long as they fit; --upgrade moves them.
    """
    from release import context as contexts
    from release.build import lock as locks
    from release.build import sdists
    from release.build import source_tree as projects

    if requirements:
        console.echo("\n".join(locks.requirement_lines(project)))
        return
    projects.pyproject(project)
    context = contexts.of_project(project, index)
    with console.working(f"Locking {project.name}"):
        changed = locks.renew(project, context, upgrade=upgrade)
        changed += sdists.lock_requirements(project, context, renew=True, upgrade=upgrade)
    console.echo("\n".join(changed) or "pylock.toml fits: nothing has changed.")


COMMANDS = (build, lock)

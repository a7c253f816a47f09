"""The command that brings artifacts to the company index: upload."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console
from release.cli import options

if TYPE_CHECKING:
    from release.context import Context

THERE = "was there already, with the same bytes"


@click.command()
@click.argument("artifacts", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--username", metavar="NAME", help="Who uploads.  [env var: TWINE_USERNAME; default: index owner]"
)
@options.sign
@options.outdir
@options.index
@options.as_json
@click.pass_obj
def upload(
    project: Path,
    *,
    artifacts: tuple[Path, ...],
    username: str | None,
    sign: Path | None,
    outdir: Path | None,
    index: str | None,
    as_json: bool,
) -> None:
    """Bring ARTIFACTS to the company index; by default the version that was built last.

    The password comes from $TWINE_PASSWORD, from the keyring (release login), or from the mirror of this
    machine.
    """
    from release import context as contexts
    from release import credentials, signing
    from release.build import source_tree
    from release.upload import twine as uploader

    paths = artifacts or uploader.last_built(outdir or project / "dist", source_tree.version(project))
    context = contexts.of_project(project, index)
    if sign:
        for path in paths:
            signing.sign(path, sign)
    with console.working(f"Uploading to {context.index_url}"):
        done = uploader.upload(
            paths, lambda: credentials.of_user(context.index_url, context.home, username), context
        )
    if as_json:
        console.emit_json(
            {"index": context.index_url, "artifacts": [dataclasses.asdict(item) for item in done]}
        )
    else:
        for item in done:
            console.echo(f"{item.filename}  {'uploaded' if item.new else THERE}")
    if not artifacts and not any(item.new for item in done):
        _warn_of_unbuilt(project, context, paths[0])


def _warn_of_unbuilt(project: Path, context: "Context", last: Path) -> None:
    """Warn if `last` was built from another state of the project: its build was forgotten."""
    from release.build import source_tree
    from release.host.formats import artifact

    built, now = artifact.manifest(last), source_tree.commit(project, context.run)
    if now.commit and not built.dirty and (now.commit != built.commit or now.dirty):
        text = f"{last.name}, which was built last, is not of what is here now. To build that: release build"
        console.echo(f"Warning: {text}", err=True)


COMMANDS = (upload,)

"""The command that brings artifacts to the company index: upload."""

import dataclasses
from pathlib import Path

import click

from packhorse import console
from release.cli import options

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


COMMANDS = (upload,)

"""Commands for machines without a network: bundle create, bundle update, bundle load."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirror.cli import options
from mirror.cli.offline import prefetch
from mirror.cli.offline.prefetch import of_locks
from packhorse import console

if TYPE_CHECKING:
    from mirror.offline.bundle.create import Made, Wanted


@click.group()
def bundle() -> None:
    """Carry packages to machines without a network: as a folder that is an index, too.

    \b
    mirror bundle create pylock.toml -o DIR             files, their pages and checksums
    mirror bundle update DIR pylock.toml -o DELTA       adds what is new; DELTA has that alone
    mirror bundle load DIR                              inside: into the mirror there

    \b
    Or without a mirror inside:
    pip install --no-index --find-links DIR/files flask
    uv pip install --no-index --find-links DIR/files flask
    python -m http.server --directory DIR 8000
    pip install --index-url http://127.0.0.1:8000/simple/ flask
    """


@bundle.command()
@of_locks
@click.option(
    "-o",
    "--output",
    "target",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to make; a bundle that is there is replaced.",
)
@click.pass_obj
def create(path: Path | None, /, target: Path, *, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401
    """Make a bundle of the files that locks need.

    FILE is a lock as `mirror prefetch` takes it. What pages of the index list is taken, and nothing else.
    The same locks give the same bytes, of any mirror. Needs the mirror to serve.
    """
    from mirror.offline.bundle import create as work

    with _wanted(path, target, wanted) as found:
        made = work.create(found, target)
    _show(made, as_json=as_json)


@bundle.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@of_locks
@click.option(
    "-o",
    "--output",
    "delta",
    metavar="DELTA",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for a bundle of what is new alone.",
)
@click.pass_obj
def update(path: Path | None, /, folder: Path, delta: Path | None, *, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401
    """Add the files that locks need to the bundle in DIR, which is the old one until all is there.

    With -o, what is new is a small bundle of its own as well, to be carried where the old one is already.
    """
    from mirror.offline.bundle import create as work

    with _wanted(path, folder, wanted) as found:
        made = work.update(found, folder, delta)
    _show(made, as_json=as_json)


@contextmanager
def _wanted(path: Path | None, target: Path, given: Mapping[str, Any]) -> Iterator["Wanted"]:
    """The files that the options of `of_locks` ask for, in the cache by then. Raises PackhorseError."""
    from mirror.offline.bundle.create import Wanted
    from mirror.offline.prefetch import Result

    fetched = prefetch.fetch(path, given)
    fetched.require_all()
    for each in fetched.lock.elsewhere:
        console.echo(f"left out {each}", err=True)
    results = [result for result in fetched.results if isinstance(result, Result)]
    with console.progress(target.name, len(results)) as step:
        yield Wanted(results, fetched.index_url, fetched.here, fetched.mirror, step)


@bundle.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.index("Where own packages are uploaded  [default: company/dev]")
@click.option(
    "--fingerprint",
    metavar="SHA256",
    help="Load it only if it is the one for which `create` or `update` printed this.",
)
@click.option(
    "--accept-changed",
    "accepted",
    metavar="FILE",
    multiple=True,
    help="Let this file replace a cached one of its name with another content; repeat it for several.",
)
@options.as_json
@click.pass_context
def load(
    context: click.Context,
    /,
    folder: Path,
    index: str | None,
    fingerprint: str | None,
    accepted: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Put the packages of the bundle in DIR into the mirror, which may be offline.

    What came from an upstream goes into its cache, with what the pages say; own packages are uploaded to
    --index. All is checked: names, links, sizes, hashes; a file that the mirror knows with another content is
    refused, and so is one of an upstream under a name that is reserved. May be repeated: what is there is
    not sent again. Exit status 1 when something was refused. Needs the mirror to serve.

    \b
    Where `mirror accept-changed` took a file outside that its upstream had changed:
      mirror bundle load DIR --accept-changed demo-1.0-py3-none-any.whl
    """
    from mirror.offline.bundle import disk
    from mirror.offline.bundle import load as work

    target = work.Target(options.folder(), index or options.config(context.obj).default_index, accepted)
    with console.progress(f"{folder.name}:", len(disk.read(folder).files)) as step:
        found = work.load(folder, target, fingerprint, step)
    refused = [each for each in found if each.state == work.REFUSED]
    if as_json:
        console.emit_json(work.as_json(found))
        context.exit(1 if refused else 0)
    for each in found:
        if each.file.own and each.state == work.NEW:
            console.echo(f"uploaded to {each.index}: {each.file.filename}")
    console.echo(work.summary(folder, found))


def _show(made: "Made", *, as_json: bool) -> None:
    from packhorse import quantities

    if as_json:
        new = [{"filename": each.filename, "size": each.size, "sha256": each.sha256} for each in made.new]
        console.emit_json(
            {
                "bundle": str(made.path),
                "files": len(made.listing.files),
                "bytes": made.listing.size,
                "projects": len(made.listing.projects),
                "new": new,
                "delta": str(made.delta) if made.delta else None,
                "fingerprint": made.fingerprint,
                "delta_fingerprint": made.delta_fingerprint,
            }
        )
        return
    new_size = sum(file.size for file in made.new)
    console.echo(
        f"{made.path}: {len(made.listing.files)} files with {quantities.shown(made.listing.size)},"
        f" {len(made.new)} of them new ({quantities.shown(new_size)})"
    )
    console.echo(f"sha256 of its SHA256SUMS: {made.fingerprint}")
    if made.delta:
        console.echo(f"{made.delta}: what is new\nsha256 of its SHA256SUMS: {made.delta_fingerprint}")


COMMANDS = (bundle,)

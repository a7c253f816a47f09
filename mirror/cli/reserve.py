"""Commands for names that only packages of our own may have: reserve, release-name."""

import sys
from pathlib import Path

import click

from mirror.cli import options
from packhorse import console
from packhorse.errors import PackhorseError


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Show all reservations: who made them, when and where.")
@click.option("--json", "as_json", is_flag=True, help="Show them for scripts.")
def reserve(names: tuple[str, ...], *, listing: bool, as_json: bool) -> None:
    """Reserve names of packages, so that indexes never show what an upstream has under them.

    NAME may be a pattern such as "acme-*". What is uploaded is reserved by that; reserve what will be, and
    name patterns in mirror.toml (`reserved`). Needs the mirror to serve.
    """
    import json

    from mirror.packages import reserve as work
    from mirror.serving import running

    if not (names or listing or as_json):
        raise click.UsageError("Name a package or a pattern, or use --list.")
    api = running.connect(options.folder())
    for sentence in work.reserve(api, names) if names else ():
        console.echo(sentence, err=as_json)
    if listing or as_json:
        known = work.records(api)
        console.echo(json.dumps(known, indent=2, sort_keys=True) if as_json else work.as_text(known))


@click.command("release-name")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def release_name(path: Path | None, name: str, *, yes: bool) -> None:
    """Say why a name is reserved and what its release risks, ask, and release it.

    The next upload of a package of this name reserves it again.
    """
    from mirror.packages import reserve as work
    from mirror.serving import running

    api = running.connect(options.folder())
    console.echo(work.explain(api, name, options.config(path).reserved), err=True)
    if not yes and not sys.stdin.isatty():
        raise PackhorseError(f"{name} is not released: nobody is here to be asked.", "Add --yes.")
    if not yes:
        click.confirm("Release it?", abort=True, err=True)
    console.echo(work.release(api, name))


COMMANDS = (reserve, release_name)

"""Commands for names that only packages of our own may have: reserve, release-name."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Show all reservations: who made them, when and where.")
@options.as_json
def reserve(names: tuple[str, ...], *, listing: bool, as_json: bool) -> None:
    """Reserve names of packages, so that indexes never show what an upstream has under them.

    NAME may be a pattern such as "acme-*". What is uploaded is reserved by that; reserve what will be, and
    name patterns in mirror.toml (`reserved`). Needs the mirror to serve.
    """
    import json

    from mirror.packages import reserve as work

    if not (names or listing or as_json):
        raise click.UsageError("Name a package or a pattern, or use --list.")
    api = options.api()
    for sentence in work.reserve(api, names) if names else ():
        console.echo(sentence, err=as_json)
    if listing or as_json:
        known = work.records(api)
        console.echo(json.dumps(known, indent=2, sort_keys=True) if as_json else work.as_text(known))


@click.command("release-name")
@click.argument("name", shell_complete=options.reserved)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def release_name(path: Path | None, name: str, *, yes: bool) -> None:
    """Say why a name is reserved and what its release risks, ask, and release it.

    The next upload of a package of this name reserves it again.
    """
    from mirror.packages import reserve as work

    api = options.api()
    console.echo(work.explain(api, name, options.config(path).reserved), err=True)
    console.ask_first("Release it?", yes=yes)
    console.echo(work.release(api, name))


COMMANDS = (reserve, release_name)

"""Commands for packages: yank, unyank, accept-changed, reserve, release-name, sbom."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@click.argument("release", metavar="NAME==VERSION")
@options.index("The index of uploads  [default: company/dev]")
@click.option("--reason", metavar="TEXT", help="Shown by installers to those who pinned it.")
@click.pass_obj
def yank(path: Path | None, release: str, index: str | None, reason: str | None) -> None:
    """Withdraw a release of your own: installers no longer choose it, those who pinned it still get it.

    It can be taken back with `mirror unyank`. Nothing is deleted (PEP 592).
    """
    from mirror.packages import yank as work

    api = options.api()
    console.echo(work.yank(api, index or options.config(path).default_index, release, reason))


@click.command()
@click.argument("release", metavar="NAME==VERSION")
@options.index("The index of uploads  [default: company/dev]")
@click.pass_obj
def unyank(path: Path | None, release: str, index: str | None) -> None:
    """Let installers choose a release again that was yanked."""
    from mirror.packages import yank as work

    api = options.api()
    console.echo(work.unyank(api, index or options.config(path).default_index, release))


@click.command("accept-changed")
@click.argument("path", metavar="USER/INDEX/PROJECT/FILE")
def accept_changed(path: str) -> None:
    """Take a file that the upstream has changed under its name, as `mirror status` reports it.

    It is refused until then, and the old one is served: a release does not change, but an attacker's does.
    """
    from urllib.parse import quote

    from mirror import api

    with api.about("nothing was accepted"):
        options.api().call("DELETE", f"/+changed-files/{quote(path)}")
    console.echo(f"accepted {path}: the mirror asks for it anew")


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


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write  [default: standard output]",
)
def sbom(file: Path, output: Path | None) -> None:
    """Print the bill of materials of a lock, a wheel or an sdist: CycloneDX 1.6, in JSON.

    FILE is a lock, such as a pylock.toml, or what `release build` made: then its own lock says what it
    consists of. Packages have a purl, the hashes of their files, and a license where it is known: that of
    the application, and of each package that the mirror on this machine has cached, which `mirror prefetch`
    does with all of a lock. The same input gives the same bytes.

    `release build` puts the bill into the wheel, too: .dist-info/sboms/packhorse.cdx.json (PEP 770).
    """
    from mirror.packages import sbom as work
    from packhorse import files

    bill = work.of_file(file, options.folder())
    if not bill.complete:
        console.echo(f"warning: {file} has no lock inside: what it depends on is not listed", err=True)
    if warning := work.unlicensed(bill, file):
        console.echo(f"warning: {warning}", err=True)
    if output:
        files.write_whole(output, bill.content)
    else:
        console.echo(bill.content.decode(), nl=False)


COMMANDS = (yank, unyank, accept_changed, reserve, release_name, sbom)

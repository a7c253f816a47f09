"""The command that writes a bill of materials: sbom."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


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


COMMANDS = (sbom,)

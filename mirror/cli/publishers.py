"""The command that shows publishers: CI jobs that may upload without a password."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@options.as_json
@click.pass_obj
def publishers(path: Path | None, *, as_json: bool) -> None:
    """Show the CI jobs that may upload without a password (trusted publishing).

    \b
    [[publishers]]                          in mirror.toml declares one:
    index = "company/dev"                   where it may upload,
    projects = ["acme-*"]                   what,
    issuer = "https://ci.example.com"       who vouches for it,
    repository = "acme/web"                 and which it is
    workflow = "release.yml"

    `mirror init` puts them in force; a job exchanges its ID token for an upload token that holds
    15 minutes, as `uv publish` does by itself. Needs the mirror to serve. docs/publishing.md has more.
    """
    from mirror.publishing import report

    found = options.api().call("GET", "/+publishers")
    if as_json:
        console.emit_json(found)
    else:
        note = options.note_of_difference(path, "publishers", found, options.config(path).publishing)
        console.echo(report.as_text(found) + note)


COMMANDS = (publishers,)

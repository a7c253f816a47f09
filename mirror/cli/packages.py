"""Commands that change which packages clients get: yank, unyank, accept-changed."""

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


COMMANDS = (yank, unyank, accept_changed)

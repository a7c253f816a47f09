"""`release login` and `release logout`: the password for the index, in the keyring."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release.cli import options

if TYPE_CHECKING:
    from release.upload.login import Keyring

username = click.option(
    "--username",
    metavar="NAME",
    envvar="TWINE_USERNAME",
    help="Who uploads.  [env var: TWINE_USERNAME; default: who is logged in, else the index owner]",
)


@click.command()
@username
@options.index
@options.as_json
@click.pass_obj
def login(project: Path, *, username: str | None, index: str | None, as_json: bool) -> None:
    """Keep the password or token for the company index in the keyring of this machine.

    It is asked for, or read from standard input: pass show pypi | release login. The index is asked whether
    it is right before it is kept. Uploads then need neither --username nor $TWINE_PASSWORD, and neither does
    whatever reads an index with `read` in mirror.toml: the other commands here get a token for an hour with
    it. In CI, $RELEASE_INDEX_TOKEN is a token for reading alone, and goes first.
    """
    from release import credentials
    from release import index as indexes
    from release.upload import login as logins

    url, home = _index(project, index), files.home()
    user = credentials.default_user(url, home, username)
    password = _password(user, url)
    with console.working(f"Asking {url}"):
        given = credentials.Credentials(user, password)
        logins.log_in(url, given, keyring=_keyring(), home=home, ask=indexes.ask)
    if as_json:
        console.emit_json({"index": url, "username": user})
    else:
        console.echo(f"{user} is logged in to {url}: the password is in the keyring.")


@click.command()
@username
@options.index
@options.as_json
@click.pass_obj
def logout(project: Path, *, username: str | None, index: str | None, as_json: bool) -> None:
    """Remove the password for the company index from the keyring of this machine."""
    from release.upload import login as logins

    url = _index(project, index)
    user = logins.log_out(url, username, keyring=_keyring(), home=files.home())
    if as_json:
        console.emit_json({"index": url, "username": user})
    else:
        console.echo(f"{user} is logged out of {url}." if user else f"No password for {url} was kept.")


COMMANDS = (login, logout)


def _index(project: Path, index: str | None) -> str:
    from release.config import company_index, release_toml

    return company_index.of_project(release_toml.load(project, index=index), files.home())


def _password(user: str, url: str) -> str:
    """From the terminal, unseen, or the first line of standard input."""
    if sys.stdin.isatty():
        given: str = click.prompt(f"Password or token of {user} for {url}", hide_input=True, err=True)
    else:
        given = sys.stdin.buffer.readline().decode("utf-8", "replace").rstrip("\r\n")
    if not given:
        raise PackhorseError(
            "There is no password on standard input.", "Pipe it in, or run this in a terminal."
        )
    return given


def _keyring() -> "Keyring":
    import keyring

    return keyring

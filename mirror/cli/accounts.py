"""Commands on who may do what: user, token."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirror.cli import options
from packhorse import console
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from mirror.api import Api

generate = click.option("--generate", is_flag=True, help="Make a password, and print it on stdout.")


@click.group()
def user() -> None:
    """Add, list and remove users of the mirror, and change their passwords.

    \b
    mirror user add anna              asks for a password
    mirror user add ci < FILE         takes the first line of FILE
    mirror user list

    A user may do nothing by that: acl_upload of an index in mirror.toml names who may upload.
    """


@user.command("add")
@click.argument("name")
@click.option("--email", metavar="ADDRESS", help="Shown to nobody who is not logged in.")
@generate
def user_add(name: str, email: str | None, *, generate: bool) -> None:
    """Create user NAME; the password is asked for, or read from standard input."""
    from mirror.accounts import users

    users.check_name(name)
    api = options.api()
    password = _password(generate=generate)
    console.echo(users.add(api, name, password, email), err=generate)
    if generate:
        console.echo(password)


@user.command("password")
@click.argument("name", shell_complete=options.users)
@click.option(
    "--url",
    metavar="URL",
    help="The mirror's address, for NAME in person, from anywhere: with the present password.",
)
@generate
def user_password(name: str, url: str | None, *, generate: bool) -> None:
    """Give user NAME another password; it is asked for, or read from standard input.

    \b
    mirror user password anna                                      on the mirror's machine
    mirror user password anna --url https://packages.example.com   anna herself, anywhere
    """
    from mirror.accounts import users

    if url is None:
        api, folder = options.api(), options.folder()
        password = _password(generate=generate)
        console.echo(users.change_password(api, folder, name, password), err=generate)
    else:
        api = _api_of(name, url)
        password = _password(generate=generate)
        console.echo(users.change_own_password(api, name, password), err=generate)
    if generate:
        console.echo(password)


@user.command("remove")
@click.argument("name", shell_complete=options.users)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def user_remove(path: Path | None, name: str, *, yes: bool) -> None:
    """Remove user NAME, who has no indexes; its tokens end with it."""
    from mirror.accounts import users

    console.ask_first(f"Remove user {name} and its tokens?", yes=yes)
    console.echo(users.remove(options.api(), options.config(path), name))


@user.command("list")
@options.as_json
def user_list(*, as_json: bool) -> None:
    """List all users: their indexes, and where they may upload."""
    from mirror.accounts import users

    found = users.listing(options.api())
    if as_json:
        console.emit_json(found)
        return
    for row in found:
        uploads = f"uploads to {', '.join(row['upload'])}" if row["upload"] else "uploads nowhere"
        console.echo(f"{row['name']}  {uploads}" + (f"  {row['email']}" if row["email"] else ""))


@click.group()
def token() -> None:
    """Make, list and revoke tokens: passwords for programs, which may do one thing and expire.

    \b
    mirror token create --index company/dev --project shop --expires 90d
    TWINE_USERNAME=__token__ TWINE_PASSWORD=… twine upload --repository-url URL dist/*
    (umask 077; mirror token create --index company/dev --may read --expires 30d > token)
    mirror token list
    mirror token revoke ID
    """


@token.command("create")
@options.index("Where; may be repeated.", "indexes", required_ones=True)
@click.option(
    "--may",
    multiple=True,
    default=("upload",),
    show_default=True,
    type=click.Choice(("upload", "delete", "read")),
    help="What; may be repeated. Who may upload may also read, yank, and push between indexes of the token.",
)
@click.option("--project", "projects", metavar="NAME", multiple=True, help="Only for these  [default: all]")
@click.option(
    "--expires", metavar="TIME", default="90d", show_default=True, help='Such as "12h", "90d", or "never".'
)
@click.option(
    "--user",
    "name",
    metavar="NAME",
    shell_complete=options.users,
    help="Whose token it is  [default: the owner of the index]",
)
@options.as_json
def token_create(
    indexes: tuple[str, ...],
    may: tuple[str, ...],
    projects: tuple[str, ...],
    expires: str,
    name: str | None,
    *,
    as_json: bool,
) -> None:
    """Make a token, and print it on stdout: nobody can see it again.

    Tools take it as the password of the user __token__. A stolen one may do what it was made for, no more.
    """
    from mirror.accounts import tokens

    until = None if expires == tokens.NEVER else int(time.time()) + _seconds(expires)
    owner = name or indexes[0].partition("/")[0]
    made = tokens.create(options.api(), tokens.TokenRequest(owner, indexes, may, projects, until))
    if as_json:
        console.emit_json(made)
        return
    ((identifier, _, *rest),) = tokens.as_rows([made], time.time())
    console.echo(f"token {identifier} of {owner}: {', '.join(rest)}", err=True)
    console.echo(str(made["token"]))


@token.command("list")
@options.as_json
def token_list(*, as_json: bool) -> None:
    """List the tokens of all users; none of them can be seen again."""
    from mirror.accounts import tokens

    found = tokens.listing(options.api())
    if as_json:
        console.emit_json(found)
        return
    for row in tokens.as_rows(found, time.time()):
        console.echo("  ".join(row))
    if not found:
        console.echo("There is no token.", err=True)


@token.command("revoke")
@click.argument("identifier", metavar="ID", shell_complete=options.tokens)
def token_revoke(identifier: str) -> None:
    """End the token ID of `mirror token list` at once."""
    from mirror.accounts import tokens

    console.echo(tokens.revoke(options.api(), identifier))


def _api_of(name: str, url: str) -> "Api":
    """The API of the mirror at `url`, as user `name`, whose present password is asked for, or read."""
    from mirror.api import HttpApi
    from packhorse import settings

    if settings.is_cleartext(url) or not url.startswith(("https://", "http://")):
        raise PackhorseError(
            f"--url: {url} is no https:// address; passwords would go over the network in clear text.",
            "Name the address that tools have, such as https://packages.example.com.",
        )
    return HttpApi(url.rstrip("/"), _present_password(name), name)


def _present_password(name: str) -> str:
    if sys.stdin.isatty():
        return console.ask_hidden(f"Present password of {name}").decode(errors="replace")
    return _line_of_stdin()


def _line_of_stdin() -> str:
    if not (line := sys.stdin.readline(4096).rstrip("\r\n")):
        raise PackhorseError("No password came on standard input.", "Give one there, or use --generate.")
    return line


def _seconds(text: str) -> int:
    from packhorse import quantities

    try:
        return quantities.seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from error


def _password(*, generate: bool) -> str:
    import secrets

    if generate:
        return secrets.token_urlsafe(24)
    if not sys.stdin.isatty():
        return _line_of_stdin()
    password = console.ask_hidden("New password")
    if console.ask_hidden("Once more") != password:
        raise PackhorseError("The two are not equal.", "Run the command again.")
    return password.decode(errors="replace")


COMMANDS = (user, token)

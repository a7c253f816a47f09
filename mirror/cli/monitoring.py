"""Commands that show what the server records and tells: audit-log, webhook."""

import click

from mirror.cli import options
from packhorse import console
from packhorse.errors import PackhorseError

ACTIONS = (
    *("upload", "register", "delete", "push", "yank", "unyank", "refresh", "test-result", "login"),
    *("token-create", "token-revoke", "read-token", "prune", "repair", "bundle"),
    *("user-create", "user-change", "user-delete", "index-create", "index-change", "index-delete"),
    *(
        "reserve",
        "release-name",
        "accept-changed",
        "policy",
        "publishers",
        "readers",
        "download",
        "list",
        "read",
        "change",
    ),
)


@click.command("audit-log")
@click.option(
    "--since",
    default="1d",
    show_default=True,
    metavar="TIME",
    help="From when on: 30m, 12h, 7d or 4w ago, or a time such as 2026-01-31T12:00.",
)
@click.option(
    "--who",
    metavar="USER",
    shell_complete=options.users,
    help="What this user did, or what was tried under this name.",
)
@click.option(
    "--action",
    metavar="ACTION",
    type=click.Choice(ACTIONS),
    help="One of: " + ", ".join(ACTIONS) + ".",
)
@click.option("--project", metavar="NAME", help="What concerns this project.")
@click.option("--denied", is_flag=True, help="What was denied alone.")
@options.as_json
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
def audit_log(
    since: str,
    who: str | None,
    action: str | None,
    project: str | None,
    *,
    denied: bool,
    as_json: bool,
    follow: bool,
) -> None:
    """Show who uploaded, deleted, pushed, yanked, changed or logged in, and what was denied.

    \b
    Each line: when, result, action, user, client's address, and what it was about.
    The files are in mirror/audit in $PACKHORSE_HOME; [audit] in mirror.toml limits them.
    """
    import json

    from mirror.monitoring import audit_log as work

    try:
        moment = work.moment(since)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{since} is no time: give 30m, 12h, 7d or 2026-01-31.") from error
    wanted = work.Filter(moment, who, action, project, denied=denied)
    folder = options.folder()
    if not folder.initialised():
        raise PackhorseError(
            f"There is no mirror in {folder.root}.", "Set PACKHORSE_HOME to the folder of the mirror."
        )
    for event in work.follow(folder.audit, wanted) if follow else work.read(folder.audit, wanted):
        console.echo(json.dumps(event) if as_json else work.as_line(event))


@click.group()
def webhook() -> None:
    """Look after [[webhooks]] of mirror.toml, which are told of uploads, promotions and blocked files."""


@webhook.command("list")
@options.as_json
def list_webhooks(*, as_json: bool) -> None:
    """Show what was delivered, what waits, and what is wrong."""
    from mirror.monitoring import webhooks as work

    found = work.states(options.api())
    if as_json:
        console.emit_json(found)
    for state in () if as_json else found:
        console.echo(work.state_line(state))


@webhook.command()
@options.as_json
def test(*, as_json: bool) -> None:
    """Have the server send a message of type "test" to each webhook now.

    Exit status 1 when one was not delivered.
    """
    from mirror.monitoring import webhooks as work

    results = work.test(options.api())
    if as_json:
        console.emit_json(results)
    for result in () if as_json else results:
        console.echo(work.result_line(result))
    work.require_delivered(results)


COMMANDS = (audit_log, webhook)

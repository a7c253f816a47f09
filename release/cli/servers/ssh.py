"""The command that logs in to a host: ssh."""

import os
import shlex
from pathlib import Path

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import target_command


@click.command()
@target_command.argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND [ARGUMENT]...]")
@click.pass_obj
def ssh(project: Path, target: str, command: tuple[str, ...]) -> None:
    """Log in to a host of TARGET as the user that deploys: the first that --limit and --skip leave.

    With your ~/.ssh/config and agent, as deploys do it. The application's configuration is not there, and its
    processes belong to another user: `release run` has both.
    """
    begun = target_command.begin(project, target, most=1)
    from release.agents import ssh as ssh_client
    from release.host.request import Note

    if not begun.target.hosts:
        raise PackhorseError(
            f"{target} is this machine: there is nothing to log in to.",
            f"For a shell with the application's configuration: release run {target} -- bash",
        )
    outcome = target_command.ask(begun, Note, lambda *_: None, what=shlex.join(["ssh", *command]))
    try:
        begun.finish(outcome)
    except PackhorseError as error:  # that may be what somebody wants to look at
        console.echo(f"Warning: {error.message} The journal there does not know of this.", err=True)
    there = ssh_client.SshDestination(
        begun.target.hosts[0], begun.target.user or begun.settings.app, begun.settings.app
    )
    login = there.login(command)
    os.execvp(login[0], login)  # noqa: S606  # its terminal is ours

"""The group `release services`: list databases, open a shell, say how to upgrade one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options
from release.cli.services import arguments, attached, backups, logins, removal, table

if TYPE_CHECKING:
    from release.config.release_toml import ReleaseConfig


@click.group(invoke_without_command=True)
@click.option("--plan", is_flag=True, help="Say what `release provision` would make, and what is left over.")
@click.option("--remove", "remove_all", is_flag=True, help="Remove what is left over, after a backup of it.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Look on this host, too.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@options.as_json
@click.pass_context
def services(
    context: click.Context, *, plan: bool, remove_all: bool, hosts: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Show the databases that targets use; attach them, rotate their passwords, back up, bring back.

    \b
    [services.db]                          in release.toml
    kind = "postgresql"                    or "mariadb", "redis"
    hosts = ["db1.example.com"]
    [targets.production]
    services = ["db"]

    \b
    release provision production           installs it; production gets a database, and its hosts are let in
    release services attach db production  DATABASE_URL of the application, as a release
    release services                       which there are, how large, the last backup of each
    release services shell db production   psql
    release services backup db production  now; a timer does it each day

    What is no longer in release.toml is named by --plan, and kept until it is removed.
    """
    if context.invoked_subcommand:
        return
    project: Path = context.obj
    from release.services import databases

    config = arguments.config(project)
    asked = databases.ask(config, databases.hosts(config, hosts))
    rows = databases.rows(config, asked)
    if remove_all:
        removal.remove_all(project, config, [row for row in rows if row.found and not row.place], yes=yes)
    elif plan and not as_json:
        console.echo(
            "\n".join(databases.plan(rows))
            or f"Nothing: hosts have what release.toml declares. {removal.MORE}"
        )
    elif rows or not config.services or as_json:
        table.show(rows, attached.names(project, rows), as_json=as_json)
    _note_unused(config)
    arguments.raise_first(asked[name] for name in asked if name in {*hosts, *(row.host for row in rows)})


def _note_unused(config: "ReleaseConfig") -> None:
    """Say which services no target uses."""
    from release.services import databases

    for problem in databases.unused(config):
        console.echo(f"Note: {problem.message} {problem.hint}", err=True)


@services.command()
@arguments.of_target
@click.pass_obj
def shell(project: Path, service: str, target: str) -> None:
    """Open psql, mariadb or redis-cli on SERVICE, with the database of TARGET.

    It runs on the service's host, with a terminal when there is one; else it reads standard input:

    \b
      release services shell db production < schema.sql

    PostgreSQL and MariaDB stop at the first error of what they read so. The exit status is the client's.
    """
    from release.services import reach

    place, host = arguments.found(project, service, target)
    both = sys.stdin.isatty() and sys.stdout.isatty()
    sys.exit(host.run_attached(reach.BACKUP, "shell", place.name, terminal=both))


@services.command()
@click.argument("service", shell_complete=arguments.service_names)
@click.pass_obj
def upgrade(project: Path, service: str) -> None:
    """Say how to bring SERVICE to another version: what applies to what is there."""
    from release.services import databases, upgrades

    config = arguments.config(project)
    arguments.require_order(config, service)
    databases.require(config, service)
    declared = config.services[service]
    asked = databases.ask(config, [declared.hosts[0]])[declared.hosts[0]]
    if isinstance(asked, PackhorseError):
        raise asked
    version = next((each.server.version for each in asked if each.server.service == service), "")
    for line in upgrades.notes(config, service, version):
        console.echo(line)


for each in (*logins.COMMANDS, *backups.COMMANDS, *removal.COMMANDS):
    services.add_command(each)
COMMANDS = (services,)

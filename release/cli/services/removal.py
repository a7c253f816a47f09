"""Remove databases that release.toml no longer has, after a last backup of each."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli.services import arguments, attached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from release.config.release_toml import ReleaseConfig
    from release.services.databases import KnownDatabase


MORE = "To look on a host that release.toml names no longer: --host HOST"


@click.command()
@click.argument("service", shell_complete=arguments.service_names)
@click.argument("target", required=False, shell_complete=arguments.target_names)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="On this host alone, which release.toml may not name.",
)
@arguments.yes
@click.pass_obj
def remove(project: Path, service: str, target: str | None, *, hosts: tuple[str, ...], yes: bool) -> None:
    """Remove databases of SERVICE (of TARGET) that are no longer in release.toml, after a backup of each.

    The backups stay on the host. What release.toml still declares is refused: detach it, and take it out.
    """
    from release.services import databases

    config = arguments.config(project)
    arguments.require_order(config, service, target)
    asked = databases.ask(config, hosts or databases.hosts(config))
    found = [
        row
        for row in databases.rows(config, asked)
        if row.found and row.found.server.service == service and target in (None, row.found.server.target)
    ]
    rows = [row for row in found if not row.place]
    declared = [row for row in found if row.place]
    if declared and not rows:
        raise PackhorseError(
            f"release.toml still declares {', '.join(row.name for row in declared)}.",
            f"Take {service} out of services of the target first; release services --plan says what is left.",
        )
    if not rows:
        failure = next((answer for answer in asked.values() if isinstance(answer, PackhorseError)), None)
        if failure:
            raise failure
        console.echo(
            f"No database of {service} is left on {', '.join(asked)}: there is nothing to do. "
            "One on another host: --host HOST",
            err=True,
        )
        return
    remove_all(project, config, rows, yes=yes)


def _require_unused(project: Path, config: "ReleaseConfig", row: "KnownDatabase") -> None:
    """Raise PackhorseError when the application has the URL of a database, on this host.

    Whoever has lost all hosts of the application may remove it, with a word.
    """
    server = row.found.server if row.found else None
    if server is None or server.app != config.app or server.target not in config.targets:
        return
    try:
        values = attached.variables(project, server.target)
    except PackhorseError as error:
        console.echo(f"Whether {server.target} uses {row.name} is not known: {error.message}", err=True)
        return
    there = f"@[{server.host}]:{server.port}/" if ":" in server.host else f"@{server.host}:{server.port}/"
    names = [name for name in attached.leading_to(values, row.name) if there in values[name]]
    if names:
        raise PackhorseError(
            f"{server.target} uses {row.name}: {', '.join(names)}.",
            f"Detach it first: release services detach {server.service} {server.target}",
        )


def remove_all(project: Path, config: "ReleaseConfig", rows: "Sequence[KnownDatabase]", *, yes: bool) -> None:
    """Remove databases, each after a last backup; none if one of them is in use (PackhorseError)."""
    from release.services import answers, reach

    if not rows:
        console.echo(f"There is nothing to remove. {MORE}")
        return
    for row in rows:
        _require_unused(project, config, row)
    console.ask_first(
        f"Remove {', '.join(f'{row.name} on {row.host}' for row in rows)} with all data?", yes=yes
    )
    for row in rows:
        host = reach.host(config, row.host)
        kept = answers.read(
            answers.Made,
            host.ask(reach.BACKUP, "last-backup", {"name": row.name}, arguments.progress),
            host.name,
        )
        for path in kept.paths:
            console.echo(f"Backup: {host.name}:{path}")
        if not kept.paths:
            raise PackhorseError(
                f"{host.name} has made no backup of {row.name}.", "Look there; nothing was removed."
            )
        host.ask(reach.BACKUP, "forget", {"name": row.name})  # first: without the database it would be lost
        host.ask(reach.SERVICE, "remove", {"name": row.name})
        console.echo(f"Removed {row.name} on {host.name}.")


COMMANDS = (remove,)

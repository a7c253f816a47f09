"""The commands of `release services` that make backups, list them and bring them back."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command
from release.cli.services import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from release.config.release_toml import ReleaseConfig
    from release.services import answers, reach
    from release.services.databases import Found, Place


@click.command()
@arguments.perhaps_of_target
@click.option(
    "--fetch",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Bring it here, too.",
)
@options.as_json
@click.pass_obj
def backup(project: Path, service: str, target: str | None, *, folder: Path | None, as_json: bool) -> None:
    """Back up the database of TARGET on SERVICE now, without TARGET those of all targets.

    It lies on the service's host, for root alone, and with `copy_to` on another host, too. Each day (`at`) a
    timer does this by itself; the last 7 (`keep`) stay.
    """
    from release.services import answers, databases, reach, transfer

    config, made = arguments.config(project), []
    arguments.require_order(config, service, target)
    for place in databases.places(config, service, target):
        host = reach.host(config, place.host, place.target)
        answer = host.ask(reach.BACKUP, "backup", {"name": place.name}, arguments.progress)
        one = answers.read(answers.Made, answer, host.name)
        if one.backup is None:
            raise PackhorseError(f"{host.name} does not say what it has made.", "Run the command again.")
        here = transfer.fetch(host, place, one.backup.name, folder) if folder else None
        made.append((place, one, here))
    if as_json:
        console.emit_json({"backups": [_as_json(place, one, here) for place, one, here in made]})
        return
    for place, one, here in made:
        if one.backup:
            size = arguments.size(one.backup.size)
            console.echo(f"{one.backup.name}  {size}, {_rows(one.backup)}: {place.host}:{one.path}")
        if here:
            console.echo(f"Here: {here}")
        if one.warning:
            console.echo(f"Warning: {one.warning}", err=True)


def _rows(backup: "answers.Backup") -> str:
    return f"{backup.rows} rows in {backup.tables} tables"


def _as_json(place: "Place", made: "answers.Made", here: Path | None) -> dict[str, Any]:
    return {
        **(made.backup.model_dump() if made.backup else {}),
        "host": place.host,
        "path": made.path,
        "warning": made.warning,
        "fetched": str(here) if here else None,
    }


@click.command()
@arguments.perhaps_of_target
@click.option(
    "--fetch",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Bring the newest here (of TARGET), or that of --name.",
)
@click.option(
    "--name",
    "name",
    metavar="BACKUP",
    shell_complete=arguments.backup_names,
    help="The backup to bring here.",
)
@options.as_json
@click.pass_obj
def backups(
    project: Path, service: str, target: str | None, *, folder: Path | None, name: str | None, as_json: bool
) -> None:
    """List the backups of SERVICE: on its host, and the copies on another one. Oldest first."""
    from release.services import databases, reach, transfer

    config = arguments.config(project)
    arguments.require_order(config, service, target)
    places = databases.places(config, service, target)
    if folder:
        if len(places) > 1:
            raise PackhorseError(
                "Name the target whose backup you want.", f"{', '.join(p.target for p in places)}"
            )
        host = reach.host(config, places[0].host, places[0].target)
        console.echo(str(transfer.fetch(host, places[0], name, folder)))
        return
    found, failures = _all_backups(config, places)
    if as_json:
        rows = [{**each.model_dump(), "target": place.target, "host": host} for place, host, each in found]
        console.emit_json({"backups": rows, "failures": [failure.message for failure in failures]})
    elif found:
        head = ("target", "backup", "size", "rows", "made", "on")
        rows_of = [
            (
                place.target,
                each.name,
                arguments.size(each.size),
                each.rows,
                each.why,
                f"{host}, copy of {each.sender}" if each.origin else host,
            )
            for place, host, each in found
        ]
        target_command.table(head, rows_of)
    elif not failures:
        console.echo(f"There are no backups. To make one: release services backup {service}")
    arguments.raise_first(failures)


def _all_backups(
    config: "ReleaseConfig", places: "Sequence[Place]"
) -> "tuple[list[tuple[Place, str, answers.Backup]], list[PackhorseError]]":
    """The backups of databases on their hosts, and their copies; and why a host said nothing."""
    from release.services import databases, reach, transfer

    found: list[tuple[Place, str, answers.Backup]] = []
    asked = databases.ask(config, list(dict.fromkeys(place.host for place in places)))
    failures = [answer for answer in asked.values() if isinstance(answer, PackhorseError)]
    for place in places:
        there = asked[place.host]
        known: list[Found] = there if isinstance(there, list) else []
        for each in known:
            if each.server.name == place.name and each.backups:
                found += [(place, place.host, backup) for backup in each.backups.backups]
        if copy_to := config.services[place.service].backup.copy_to:
            try:
                copies, left_out = transfer.copies(reach.host(config, copy_to), place)
            except PackhorseError as error:
                failures.append(error)
            else:
                found += [(place, copy_to, copy) for copy in copies]
                failures += left_out
    return found, failures


@click.command()
@arguments.of_target
@click.argument("backup", required=False, metavar="[BACKUP | FILE]", shell_complete=arguments.backup_names)
@click.option(
    "--from",
    "sender",
    metavar="HOST",
    help="Take a copy that HOST has brought to another one, also when the service's host has backups.",
)
@click.option(
    "--drop-old", is_flag=True, help="Remove what the last restore has replaced, after a backup of it."
)
@arguments.yes
@options.as_json
@click.pass_obj
def restore(
    project: Path,
    service: str,
    target: str,
    backup: str | None,
    *,
    sender: str | None,
    drop_old: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring the database of TARGET on SERVICE back from BACKUP, or from the newest one.

    It is loaded into a new database first, and its rows are counted. When all are there, the new one takes
    the place of the other, which stays under another name until --drop-old.

    BACKUP is one of `release services backups`. When the service's host has it no more, it comes from the
    copy that this host has brought to another one. When the host was lost, and another one was provisioned in
    its place, say whose copy to take: --from LOST_HOST.

    A FILE is one that --fetch has brought, or made by pg_dump -Fc on any other server.
    """
    from release.services import answers, reach

    place, host = arguments.found(project, service, target)
    if drop_old:
        _drop_old(place, host, yes=yes)
        return
    chosen = _chosen(arguments.config(project), place, host, backup, sender)
    console.ask_first(f"Replace the database of {target} by {chosen or 'its newest backup'}?", yes=yes)
    request = {"name": place.name, "backup": chosen}
    made = answers.read(
        answers.Made, host.ask(reach.BACKUP, "restore", request, arguments.progress), host.name
    )
    if as_json:
        console.emit_json(made.model_dump())
        return
    _print_restored(made, place, host.name)


def _print_restored(made: "answers.Made", place: "Place", host: str) -> None:
    for note in made.notes:
        console.echo(f"Note: {note}", err=True)
    if made.backup:
        when = made.backup.name
        console.echo(f"{place.name} on {host} is what it was at {when}: {_rows(made.backup)}.")
    if made.old:
        command = f"release services restore {place.service} {place.target} --drop-old"
        console.echo(f"What it replaced is kept as {made.old}. When you need it no more: {command}")


def _drop_old(place: "Place", host: "reach.Host", *, yes: bool) -> None:
    """Remove what the last restore has replaced, after a backup of it."""
    from release.services import answers, reach

    console.ask_first(f"Remove what the last restore of {place.name} has replaced?", yes=yes)
    answer = host.ask(reach.BACKUP, "drop-old", {"name": place.name}, arguments.progress)
    paths = answers.read(answers.Made, answer, host.name).paths
    console.echo(f"Removed. Its backup: {host.name}:{paths[0]}" if paths else "There is nothing to remove.")


def _chosen(
    config: "ReleaseConfig", place: "Place", host: "reach.Host", wanted: str | None, sender: str | None
) -> str | None:
    """The name of the backup on `host` to bring back, after it was brought there if need be.

    `sender`: the host whose copy is wanted. Raises PackhorseError when there is none such.
    """
    from release.services import answers, reach, transfer

    if wanted and not sender and ("/" in wanted or Path(wanted).is_file()):
        return transfer.bring_file(host, place, Path(wanted), arguments.progress)
    found, failures = _all_backups(config, [place])
    fitting = [(where, each) for _, where, each in found if wanted or each.why != answers.REMOVAL]
    if not sender and any(not each.origin and wanted in (None, each.name) for _, each in fitting):
        return wanted
    copies = [each for _, each in fitting if each.origin]
    if failures and not copies:
        raise failures[0]
    copy = transfer.choose(copies, place, wanted, sender)
    where = next(where for where, each in fitting if each is copy)
    return transfer.bring_copy(host, place, reach.host(config, where), copy, arguments.progress)


COMMANDS = (backup, backups, restore)

"""Show databases: in a table for people, as JSON for scripts."""

import time
from typing import TYPE_CHECKING, Any

from packhorse import console
from release.cli import target_command
from release.cli.services import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from release.services.databases import KnownDatabase


def show(rows: "Sequence[KnownDatabase]", attached: dict[str, list[str] | None], *, as_json: bool) -> None:
    """Print the databases, and after them why a host said nothing."""
    from release.services import databases

    if as_json:
        console.emit_json({"services": [_as_json(row, attached.get(row.name)) for row in rows]})
        return
    if not rows:
        console.echo("release.toml declares no service: [services.NAME], see docs/services.md.")
        return
    now, lines = time.time(), []
    for row in rows:
        found, name = row.found, attached.get(row.name)
        last = databases.last(found.backups if found else None, now)
        server = found.server if found else None
        lines.append(
            (
                row.place.service if row.place else server.service if server else "",
                row.place.target if row.place else server.target if server else "",
                f"{server.kind} {server.version}" if server else row.place.kind if row.place else "",
                row.host,
                ", ".join(name) if name else "no" if name == [] else "?",
                arguments.size(server.size) if server and not server.error else "",
                f"{databases.ago(databases.age(last.name, now))}, {arguments.size(last.size)}"
                if last
                else "none",
                "; ".join(_state(row, now)),
            )
        )
    target_command.table(("service", "target", "kind", "host", "attached", "size", "last backup", ""), lines)


def _state(row: "KnownDatabase", now: float) -> list[str]:
    """Problems of a database, in some words."""
    from release.services import databases

    if row.failure:
        return ["its host does not answer"]
    if row.found is None:
        return [f"not there yet: release provision {row.place.target}" if row.place else "not there"]
    found, backups = row.found, row.found.backups
    words = [] if row.place else ["not in release.toml: kept"]
    words += [f"does not answer: {found.server.error}"] if found.server.error else []
    words += ["closed: its removal has begun"] if found.server.closed else []
    words += ["a rotation is to be finished"] if found.server.rotating else []
    if backups and not backups.last.ok:
        words.append(f"BACKUP FAILED: {backups.last.error}")
    if databases.is_overdue(backups, now):
        words.append("BACKUP OVERDUE")
    if backups and backups.interrupted:
        words.append("a restore was interrupted: run it again")
    if backups and backups.old:
        words.append(f"what a restore has replaced is kept as {backups.old}")
    return words


def _as_json(row: "KnownDatabase", attached: list[str] | None) -> dict[str, Any]:
    found = row.found
    server, backups = (found.server, found.backups) if found else (None, None)
    from release.services import databases

    last = databases.last(backups, time.time())
    return {
        "database": row.name,
        "service": row.place.service if row.place else server.service if server else "",
        "target": row.place.target if row.place else server.target if server else "",
        "kind": row.place.kind if row.place else server.kind if server else "",
        "host": row.host,
        "declared": row.place is not None,
        "there": found is not None,
        "version": server.version if server else None,
        "size": server.size if server else None,
        "attached": attached,
        "rotating": bool(server and server.rotating),
        "last_backup": last.model_dump() if last else None,
        "backups": len(backups.backups) if backups else 0,
        "overdue": databases.is_overdue(backups, time.time()),
        "last_run": backups.last.model_dump() if backups else None,
        "copy_to": backups.copy_to if backups else None,
        "replaced": backups.old if backups else None,
        "error": row.failure.message if row.failure else server.error or None if server else None,
    }

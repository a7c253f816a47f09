"""The commands of packhorse-service-backup: what each takes, does and answers."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packhorse_service import commands as databases
from packhorse_service import kinds, state
from packhorse_service.backups import copies, engines, processes, progress, schedule
from packhorse_service.backups.processes import BackupError
from packhorse_service.backups.store import REMOVAL, SMALLEST_FREE, Backup, Store
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

Answer = dict[str, Any]
Request = Mapping[str, Any]
DATA = {
    "postgresql": Path("/var/lib/postgresql"),
    "mariadb": Path("/var/lib/mysql"),
    "redis": Path("/var/lib/redis"),
}
"""Folders in which servers of the distribution keep their data, which a restore fills."""


def run(name: str) -> None:
    """Do what the timer starts: back up, remove old ones, copy all that was not yet. Raises ServiceError."""
    database = state.load(name)
    store, error = Store(database.name), ""
    signal.signal(signal.SIGTERM, _stopped)
    try:
        with store.locked():
            state.refuse_interrupted(database)
            backup = _make(database, "timer")
            store.prune(_keep(database))
        print(f"{backup.name}: {backup.size} bytes", flush=True)  # noqa: T201
        copies.push_new(store, copies.host(database))
    except ServiceError as failure:
        error = f"{failure.message} {failure.hint}"
        raise
    finally:
        store.note({"time": int(time.time()), "ok": not error and sys.exc_info()[0] is None, "error": error})


def _stopped(*_: object) -> None:
    """End a run that systemd stops, so that its login is closed, and its failure noted."""
    raise BackupError(
        "The run was stopped before its end.", "See why: journalctl -u packhorse-service-backup@*"
    )


def list_(request: Request) -> Answer:
    """All databases of this host, or of `app`, with their backups: {"databases": […]}."""
    found = [state.load(name) for name in state.names()]
    return {"databases": [_described(each) for each in found if request.get("app") in {None, each.parts[0]}]}


def backup(request: Request) -> Answer:
    """A backup of `name` now, and its copy: {"backup", "path", "warning"}; a copy that fails is a warning."""
    database = state.load(request.get("name"))
    store, warning = Store(database.name), ""
    progress.say(f"Backing up {database.name}")
    with store.locked():
        _finish(database)
        made = _make(database, "hand")
        store.prune(_keep(database))
    try:
        copies.push_new(store, copies.host(database))
    except ServiceError as failure:
        warning = f"{failure.message} {failure.hint}"
    return {"backup": made.summary, "path": str(store.path(made)), "warning": warning}


def restore(request: Request) -> Answer:
    """Bring `backup` (None: the newest) of `name` back: {"backup", "old", "notes"}.

    Into a new database first; when all rows are there, that takes the place of the other, which stays.
    """
    database = state.load(request.get("name"))
    engine, store = engines.of(database), Store(database.name)
    with store.locked():
        if old := _finish(database):
            return {"backup": None, "old": old, "notes": ["The restore that was interrupted is finished."]}
        chosen = store.find(request.get("backup"))
        _require_room(database, engine, chosen)
        progress.say(f"Checking {chosen.name}")
        store.require_whole(chosen)
        progress.say("Loading it into a new database")
        try:
            rows, notes = engine.load(store.path(chosen), chosen.facts)
            if chosen.why != "foreign":
                require_same(chosen.rows, rows)
        except BaseException:
            with contextlib.suppress(ServiceError):  # the first error says more
                engine.drop(engine.restored)
            raise
        progress.say("Switching")
        old = _switch(database)
    return {"backup": chosen.summary, "old": old, "notes": notes}


def _finish(database: Database) -> str | None:
    """Finish the switch of a restore that was killed: what it has replaced; None: there was none."""
    if not state.switching(database.name).exists():
        return None
    progress.say("Finishing the restore that was interrupted")
    return _switch(database)


def _switch(database: Database) -> str:
    """Let what was restored take the place of the other, while nobody else opens or closes its logins."""
    with state.lock():
        return engines.of(state.load(database.name)).switch()


def _require_room(database: Database, engine: engines.Engine, chosen: Backup) -> None:
    if chosen.kind != database.kind:
        raise BackupError(f"{chosen.name} is of {chosen.kind}, and {database.name} is {database.kind}.")
    if engine.exists(engine.old):
        _, target, service = database.parts
        raise BackupError(
            f"What an earlier restore has replaced is still there, as {engine.old}.",
            "Look whether you need it. To remove it, with a backup before: "
            f"release services restore {service} {target} --drop-old",
        )
    needed, data = chosen.size, DATA[database.kind]
    with contextlib.suppress(ServiceError):  # it does not answer, or has nothing yet
        needed = max(needed, int(kinds.of(database).describe(database)["size"] or 0))
    with contextlib.suppress(FileNotFoundError):
        disk = os.statvfs(data)
        free = disk.f_bavail * disk.f_frsize
        if free < needed + SMALLEST_FREE:
            raise BackupError(
                f"A restore takes about {needed} bytes in {data}, beside what is there; {free} are free.",
                "Make room there: the database is as it was.",
            )


def require_same(expected: Mapping[str, int], found: Mapping[str, int]) -> None:
    """Raise BackupError unless every table has as many rows as it had."""
    different = [
        f"{table}: {found.get(table, 'missing')} instead of {expected.get(table, 'none')}"
        for table in sorted({*expected, *found})
        if expected.get(table) != found.get(table)
    ]
    if different:
        raise BackupError(
            f"What was restored is not what was backed up: {'; '.join(different[:5])}.",
            "The database is as it was. Take another backup.",
        )


def drop_old(request: Request) -> Answer:
    """Remove what the last restore of `name` has replaced, after a backup of it: {"paths"}."""
    database = state.load(request.get("name"))
    engine, store, paths = engines.of(database), Store(database.name), []
    with store.locked():
        _finish(database)
        if engine.exists(engine.old):
            paths = [str(store.path(_make(database, REMOVAL, engine.old)))]
            engine.drop(engine.old)
    return {"paths": paths}


def last_backup(request: Request) -> Answer:
    """Close `name`, which is about to be removed, and back up all that is there of it: {"paths"}."""
    database = state.load(request.get("name"))
    engine, store = engines.of(database), Store(database.name)
    with store.locked():
        _finish(database)
        there = [each for each in (engine.database, engine.old) if engine.exists(each)]
        if engine.database in there:
            progress.say("Closing its logins")
            databases.close(database.name)
        made = [_make(database, REMOVAL, each) for each in there]
        if not there:  # a removal was killed after its backup
            made = [each for each in store.all() if each.why == REMOVAL]
    return {"paths": [str(store.path(each)) for each in made]}


def forget(request: Request) -> Answer:
    """Stop the timer of a database that is removed, and bring no more copies: {}. Its backups stay."""
    name = state.check_name(request.get("name"))
    copies.forget_key(name)
    unit = f"packhorse-service-backup@{name}.timer"
    path = Path("/etc/systemd/system") / unit
    if path.exists():
        processes.run(["systemctl", "disable", "--now", unit], user="root")
        path.unlink()
        processes.run(["systemctl", "daemon-reload"], user="root")
    return {}


def export(request: Request) -> None:
    """Write `backup` (None: the newest) of `name` to stdout: a line of JSON, then its bytes."""
    store = Store(state.check_name(request.get("name")))
    chosen = store.find(request.get("backup"))
    with store.path(chosen).open("rb") as file:
        copies.send(chosen, file, sys.stdout.buffer)


def import_(request: Request) -> Answer:
    """Keep a backup that follows on stdin, as `export` writes it, as one of `name`: {"backup", "path"}."""
    database = state.load(request.get("name"))
    store = Store(database.name)
    with store.locked():
        made = store.receive(sys.stdin.buffer)
    return {"backup": made.summary, "path": str(store.path(made))}


def shell(name: str) -> int:
    """Run the server's own client on `name`, with the terminal or the pipes that we have; its exit status."""

    def attached(command: list[str], environment: dict[str, str]) -> int:
        process = processes.start(command, secrets=environment, stdin=None, stdout=None, stderr=None)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # for the client: it ends a query by it
                continue

    database = state.load(name)
    state.refuse_closed(database)
    return engines.of(database).shell(attached)


def _make(database: Database, why: str, name: str | None = None) -> Backup:
    """Back up the database; `name`: another one of the server, such as what a restore has replaced.

    Who calls has the lock of its backups.
    """
    engine, store = engines.of(database), Store(database.name)
    version, facts, label = engine.version(), engine.facts(), store.new_name()

    def fill(write: Callable[[bytes], object]) -> Backup:
        rows = engine.dump(name or engine.database, write)
        return Backup(label, database.name, database.kind, version, 0, "0" * 64, why, rows, facts)

    return store.write(fill)


def _keep(database: Database) -> int:
    return int(database.backup.get("keep") or 7)


def _described(database: Database) -> Answer:
    store, engine = Store(database.name), engines.of(database)
    backups = store.all()
    app, target, service = database.parts
    try:
        old = engine.old if engine.exists(engine.old) else None
    except ServiceError:  # the server does not run
        old = None
    return {
        "name": database.name,
        "kind": database.kind,
        "app": app,
        "target": target,
        "service": service,
        "at": database.backup.get("at"),
        "overdue": _overdue(database, store.newest()),
        "copy_to": database.backup.get("copy_to"),
        "backups": [{**each.summary, "copied": store.is_copied(each)} for each in backups],
        "last": store.noted(),
        "folder": str(store.folder),
        "old": old,
        "interrupted": state.switching(database.name).exists(),
    }


def _overdue(database: Database, newest: Backup | None) -> int | None:
    """The time at which there should have been another backup; None: not known, or there is none yet."""
    with contextlib.suppress(ServiceError):  # provisioning says which calendar systemd does not know
        if newest:
            due = schedule.overdue(database.backup.get("at") or "daily", newest.time)
            return int(due) if due else None
    return None


COMMANDS: Mapping[str, Callable[[Request], Answer | None]] = {
    "list": list_,
    "backup": backup,
    "restore": restore,
    "drop-old": drop_old,
    "last-backup": last_backup,
    "forget": forget,
    "export": export,
    "import": import_,
}

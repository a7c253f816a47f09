"""The promises of packhorse_service.backups.commands."""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from packhorse_service import kinds, state
from packhorse_service.backups import commands, copies, engines, processes, schedule, store
from packhorse_service.backups.processes import BackupError
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

NAME = "shop_production_db"
REQUEST = {"name": NAME}


class Engine:
    """A server in memory: its databases, and the rows of what a restore fills."""

    database, restored, old = NAME, f"{NAME}__n", f"{NAME}__o"

    def __init__(self) -> None:
        self.databases = {NAME, self.old}
        self.loads = {"t": 1}
        self.did: list[str] = []

    def exists(self, name: str) -> bool:
        return name in self.databases

    def version(self) -> str:
        return "15.4"

    def facts(self) -> dict[str, str]:
        return {}

    def dump(self, name: str, write: Callable[[bytes], object]) -> dict[str, int]:
        write(name.encode())
        self.did.append(f"dumps {name}")
        return {"t": 1}

    def load(self, _path: Path, _facts: dict[str, str]) -> tuple[dict[str, int], list[str]]:
        self.databases.add(self.restored)
        return self.loads, []

    def drop(self, name: str) -> None:
        self.databases.discard(name)

    def apply(self, database: Database, _changes: Changes) -> None:
        self.did.append(f"opens {', '.join(database.passwords) or 'none'}")

    def disconnect(self, _database: Database, which: str) -> int:
        self.did.append(f"ends {which}")
        return 0

    def describe(self, _database: Database) -> dict[str, object]:
        return {"version": "15.4", "size": 8_000_000}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    fake = Engine()
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    monkeypatch.setattr(commands, "Store", functools.partial(store.Store, root=tmp_path / "backups"))
    monkeypatch.setattr(engines, "of", lambda _database: fake)
    monkeypatch.setattr(kinds, "of", lambda _database: fake)
    monkeypatch.setitem(commands.DATA, "postgresql", tmp_path)
    state.save(Database(NAME, "postgresql", passwords={"a": "x"}))
    return fake


def test_a_removal_that_was_killed_after_its_backup_goes_on(engine: Engine) -> None:
    """The database is gone, and what else belongs to it is not: its backups are those of before."""
    first = commands.last_backup(REQUEST)["paths"]
    assert len(first) == 2
    engine.databases.clear()
    assert sorted(commands.last_backup(REQUEST)["paths"]) == sorted(first)


def test_nobody_writes_any_more_when_the_last_backup_begins(engine: Engine) -> None:
    """What was written after it would be lost. It removes nothing yet."""
    commands.last_backup(REQUEST)
    closed = ["opens none", "ends a", "ends b", "ends s"]
    assert engine.did == [*closed, f"dumps {NAME}", f"dumps {engine.old}"]
    assert state.load(NAME).passwords == {}
    assert engine.databases == {NAME, engine.old}
    with pytest.raises(ServiceError, match="is closed: its removal has begun"):
        commands.shell(NAME)


def test_what_a_restore_has_filled_goes_when_it_fails(engine: Engine) -> None:
    """Nobody would find it, and it takes as much room as the database."""
    engine.drop(engine.old)
    commands.backup(REQUEST)
    engine.loads = {"t": 0}
    with pytest.raises(BackupError, match="t: 0 instead of 1"):
        commands.restore(REQUEST)
    assert engine.databases == {NAME}


def test_a_restore_that_would_fill_the_disk_does_not_begin(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops the database, too."""
    engine.drop(engine.old)
    commands.backup(REQUEST)
    full = os.statvfs_result((4096, 4096, 10_000, 0, 9_000, 9_000, 100, 100, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(BackupError, match="takes about 8000000 bytes"):
        commands.restore(REQUEST)
    assert engine.databases == {NAME}


def test_the_list_says_when_the_next_backup_is_overdue(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a timer with whatever calendar; `release doctor` compares it with the clock."""
    asked: list[tuple[str, float]] = []

    def overdue(calendar: str, last: float) -> float:
        asked.append((calendar, last))
        return last + 7.5

    monkeypatch.setattr(schedule, "overdue", overdue)
    assert commands.list_({})["databases"][0]["overdue"] is None
    state.save(Database(NAME, "postgresql", backup={"at": "Mon *-*-* 03:00"}))
    commands.backup(REQUEST)
    (row,) = commands.list_({})["databases"]
    assert asked == [("Mon *-*-* 03:00", row["overdue"] - 7)]
    assert engine.databases


def test_a_run_that_systemd_stops_is_noted_as_failed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day; it leaves no open login, and `release services` says so."""
    before = signal.getsignal(signal.SIGTERM)

    def dump(_name: str, _write: Callable[[bytes], object]) -> dict[str, int]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    monkeypatch.setattr(engine, "dump", dump)
    try:
        with pytest.raises(BackupError, match="stopped before its end"):
            commands.run(NAME)
    finally:
        signal.signal(signal.SIGTERM, before)
    (row,) = commands.list_({})["databases"]
    assert (row["last"]["ok"], "stopped" in row["last"]["error"], row["backups"]) == (False, True, [])


def test_the_key_for_copies_goes_with_the_last_database_of_its_service(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host that has lost the service would keep a way to the host of copies."""
    monkeypatch.setattr(copies, "FOLDER", tmp_path)
    monkeypatch.setattr(processes, "run", lambda *_, **__: "")
    files = [tmp_path / name for name in ("shop_db", "shop_db.pub", "shop_db.known_hosts", "shop_cache")]
    for path in files:
        path.touch()
    state.save(Database("shop_staging_db", "postgresql"))
    commands.forget({"name": "shop_staging_db"})
    assert all(path.exists() for path in files)
    (state.folder("shop_staging_db") / "state.json").unlink()
    state.folder("shop_staging_db").rmdir()
    commands.forget(REQUEST)
    assert [path.name for path in files if path.exists()] == ["shop_cache"]
    assert engine.databases

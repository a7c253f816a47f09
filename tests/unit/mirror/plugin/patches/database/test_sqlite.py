"""devpi's database in a mode in which readers and a writer do not wait for each other."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import py
import pytest
from devpi_server.keyfs import KeyfsTimeoutError
from devpi_server.keyfs_sqlite import BaseStorage
from devpi_server.keyfs_sqlite_fs import Storage

from mirror.plugin.patches.database import sqlite
from mirror.upkeep import shrink
from packhorse.errors import PackhorseError
from tests.support.servers import wait_until


def test_a_commit_does_not_wait_for_a_reader(tmp_path: Path) -> None:
    """Fifty clients that read the cache would keep the one page that just came from being stored."""
    path = tmp_path / sqlite.NAME
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE pages (name)")
    kept_open = sqlite.use_wal(path)
    assert kept_open is not None
    reading = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)  # as devpi does
    with closing(kept_open), closing(reading), closing(sqlite3.connect(path, timeout=0)) as writing:
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM pages").fetchone() == (0,)
        with writing:
            writing.execute("INSERT INTO pages VALUES ('demo')")
        assert writing.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: an upload must survive


def test_nobody_else_can_read_the_database_or_its_log(tmp_path: Path) -> None:
    """Both hold the hashes of passwords, in a folder that nginx may enter."""
    path = tmp_path / sqlite.NAME
    path.touch(0o644)
    kept_open = sqlite.use_wal(path)
    assert kept_open is not None
    with closing(kept_open):
        kept_open.execute("CREATE TABLE users (name)").close()
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm"], 0o600)


def test_another_storage_is_left_alone(tmp_path: Path) -> None:
    """devpi can keep its data in PostgreSQL."""
    assert sqlite.use_wal(tmp_path / sqlite.NAME) is None
    assert not list(tmp_path.iterdir())


def test_readers_stay_open_and_see_each_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has written must read it, through whichever connection."""
    monkeypatch.setattr(BaseStorage, "get_connection", BaseStorage.get_connection)  # restored afterwards
    sqlite.apply(tmp_path)
    sqlite.apply(tmp_path)  # harmless
    storage = Storage(py.path.local(tmp_path), notify_on_commit=lambda _: None, cache_size=100)  # noqa: PTH124 (devpi's kind of path)
    opened = set()
    for serial in range(3):
        with storage.get_connection(write=True) as writing:
            writing._sqlconn.execute("INSERT INTO changelog VALUES (?, x'00')", (serial,))
            writing.commit()
        with storage.get_connection() as first, storage.get_connection() as second:
            assert first.db_read_last_changelog_serial() == second.db_read_last_changelog_serial() == serial
            assert first._sqlconn is not second._sqlconn
            opened |= {id(first._sqlconn), id(second._sqlconn)}
    assert len(opened) == 2
    first.close()  # once more
    with storage.get_connection() as third, storage.get_connection() as fourth:
        assert third._sqlconn is not fourth._sqlconn
    with storage.get_connection() as reading, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reading._sqlconn.execute("DELETE FROM changelog")


def test_a_writer_waits_as_long_as_a_shrink_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing a large database anew takes minutes, of which devpi waits one. A lock ends with its process."""
    monkeypatch.setattr(BaseStorage, "get_connection", BaseStorage.get_connection)  # restored afterwards
    sqlite.apply(tmp_path)
    storage = Storage(py.path.local(tmp_path), notify_on_commit=lambda _: None, cache_size=100)  # noqa: PTH124 (devpi's kind of path)
    tries: list[None] = []

    def impatient(_uri: str) -> sqlite3.Connection:
        tries.append(None)
        return sqlite3.connect(
            tmp_path / sqlite.NAME, timeout=0, isolation_level=None, check_same_thread=False
        )

    monkeypatch.setattr(storage, "_get_sqlconn", impatient)
    with closing(sqlite3.connect(tmp_path / sqlite.NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as pool:
            with shrink._alone(tmp_path):
                with pytest.raises(PackhorseError, match="Another `mirror shrink` is at work"):
                    shrink._alone(tmp_path).__enter__()
                waiting = pool.submit(storage.get_connection, write=True, closing=False, timeout=0)
                wait_until("three tries of devpi's", lambda: len(tries) > 3)
                assert not waiting.done()
                other.execute("COMMIT")
                waiting.result(timeout=30).close()
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(KeyfsTimeoutError):
                storage.get_connection(write=True, timeout=0)

"""Run devpi's SQLite database with a write-ahead log, and keep connections of readers open."""

import contextlib
import fcntl
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import quote

from devpi_server.keyfs import KeyfsTimeoutError
from devpi_server.keyfs_sqlite import BaseStorage

from packhorse import files

NAME = ".sqlite"  # below devpi's server folder
LOCK = ".shrink-lock"  # beside it; as mirror/upkeep/shrink.py has it
IDLE = 50  # connections that stay open
_STOCK = BaseStorage.get_connection
_writers: dict[Path, sqlite3.Connection] = {}  # kept open, by path
_idle: "dict[str, deque[_Reader]]" = {}  # by the path of a database that exists


def apply(folder: Path) -> None:
    """Set up the database in `folder`, if devpi keeps its data there."""
    path = folder / NAME
    if path not in _writers and (connection := use_wal(path)):
        _writers[path] = connection
    BaseStorage.get_connection = _get_connection  # type: ignore[method-assign]


def use_wal(path: Path) -> sqlite3.Connection | None:
    """Switch the database at `path` to a write-ahead log; None when there is none.

    With the rollback journal that SQLite has by default, a commit waits until nobody reads, by
    sleeping up to a tenth of a second at a time. What is committed is as safe as before: `synchronous`
    stays FULL. The connection is to be kept open: the last one that closes would write the log back
    each time, and devpi opens one for each transaction.
    """
    if not path.exists():
        return None
    path.chmod(0o600)  # it holds the hashes of passwords, and its log gets the same permissions
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL").close()
    return connection


def _get_connection(storage: Any, closing: bool = True, write: bool = False, timeout: int = 30) -> Any:  # noqa: FBT001, FBT002 (devpi's signature)
    """Let devpi read through connections that stay open.

    It opens one for each transaction, and each request has two: thirty system calls, after each of which
    the thread may have to wait for its turn. Nothing is held by one that is not reading: they are in
    autocommit mode, and devpi fetches all rows of a query at once.
    """
    path = str(storage.sqlpath)
    if write:
        return _writer(storage, closing, timeout)
    if path not in _idle:
        opened = _STOCK(storage, closing, write, timeout)
        _idle.setdefault(path, deque())
        return opened
    reading = storage.Connection(_reader(path, _idle[path]), storage.basedir, storage)
    return contextlib.closing(reading) if closing else reading


def _writer(storage: Any, closing: bool, timeout: int) -> Any:  # noqa: FBT001
    """A connection in a write transaction; wait as long as `mirror shrink` writes the database anew.

    devpi gives up after a minute, with a 500. Raises KeyfsTimeoutError when another holds it so long.
    """
    while True:
        try:
            return _STOCK(storage, closing, True, timeout)  # noqa: FBT003
        except KeyfsTimeoutError:
            if not _is_shrinking(Path(str(storage.sqlpath)).parent):
                raise


def _is_shrinking(folder: Path) -> bool:
    """Whether a process holds the lock of `mirror shrink`, which ends with it."""
    with contextlib.suppress(FileNotFoundError, PermissionError), (folder / LOCK).open("rb") as file:
        return not files.try_flock(file.fileno(), fcntl.LOCK_SH)
    return False


class _Reader(sqlite3.Connection):
    """A read-only connection that goes back to the idle ones instead of being closed."""

    idle: "deque[_Reader]"
    lent = True

    def close(self) -> None:
        if not self.lent:
            return  # closed twice, it must not be lent twice
        self.lent = False
        if len(self.idle) < IDLE:
            self.idle.append(self)
        else:
            super().close()


def _reader(path: str, idle: "deque[_Reader]") -> _Reader:
    with contextlib.suppress(IndexError):
        opened = idle.pop()
        opened.lent = True
        return opened
    uri = f"file:{quote(path)}?mode=ro"
    opened = sqlite3.connect(
        uri, timeout=60, isolation_level=None, uri=True, check_same_thread=False, factory=_Reader
    )
    opened.idle = idle
    return opened

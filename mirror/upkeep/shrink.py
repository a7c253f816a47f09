"""Shrink devpi's database while it serves: drop values that were replaced, and free their space on the disk.

devpi keeps each value that a key ever had, with the transaction (a serial, an entry of the table `changelog`)
that set it; the table `kv` says which transaction set the value that each key has now. Here entries lose the
values that later ones replaced. All serials stay, and deletions too: a replica goes on from wherever it is.
Each step is a transaction of SQLite: a killed one leaves what was there before it.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mirror import state
from packhorse import quantities
from packhorse.errors import PackhorseError

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]  # console.progress

NAME = ".sqlite"  # below devpi's server folder
LOCK = ".shrink-lock"  # beside it; as patches/database/sqlite.py of the plugin has it
EVENTS = ".event_serial"  # one more than the last serial that devpi has told its plugins of
# A new replica looks for the index and the version of each file as they were at its upload: of users, with
# their indexes, all values stay; of a version, those that came with a file which is still there.
_USERS, _VERSION, _FILE = {"USER", "USERLIST"}, "PROJVERSION", "STAGEFILE"
_BATCH = 8_000_000  # bytes of entries that are rewritten in one transaction: uploads wait for it
_WAIT = 60.0  # seconds for others that write
SETTLE = 3.0  # seconds after which hardly any request reads what it had to see when this began


@dataclass(frozen=True)
class Shrunk:
    """The result of a run, or of one that would be: bytes before and after, values that were dropped."""

    before: int
    after: int
    values: int

    @property
    def freed(self) -> int:
        return max(0, self.before - self.after)


@dataclass(frozen=True)
class _Entry:
    """A transaction without the values that were replaced."""

    serial: int
    data: bytes
    freed: int  # bytes
    values: int


def summary(done: Shrunk, *, dry: bool) -> str:
    """A sentence that says how much was freed."""
    what = "would free about" if dry else "freed"
    sizes = f"the database has {quantities.shown(done.before)}, then {quantities.shown(done.after)}"
    return f"{what} {quantities.shown(done.freed)}: {sizes}, without {done.values} values that were replaced"


def run(server: Path, progress: Progress, *, dry: bool, settle: float = 0) -> Shrunk:
    """Shrink the database in devpi's folder `server`, or only count what a run would free.

    `settle`: seconds that must pass before the first value is dropped. Raises PackhorseError; nothing is lost
    then, and another run goes on.
    """
    path = server / NAME
    if not path.exists():
        raise PackhorseError(
            f"There is no database {path}.",
            "Set PACKHORSE_HOME to the mirror's, or name a folder: --serverdir",
        )
    before = _size(path)
    with nullcontext() if dry else _alone(server), _opened(path) as database:
        began = time.monotonic()
        horizon = _horizon(database, server)
        _list_live(database, horizon)
        freed = values = 0
        with progress("transactions:", horizon + 1) as step:
            for batch in _batches(_entries(database, horizon, step)):
                if not dry:
                    time.sleep(max(0.0, began + settle - time.monotonic()))
                    _write(database, batch)
                freed += sum(entry.freed for entry in batch)
                values += sum(entry.values for entry in batch)
        if dry:  # the write-ahead log, which `before` counts, will be empty
            return Shrunk(before, max(0, _used(database) - freed), values)
        _compact(database, server)
    return Shrunk(before, _size(path), values)


@contextlib.contextmanager
def _alone(server: Path) -> Iterator[None]:
    """Hold the lock that excludes another run, and lets uploads wait (plugin/patches/database/sqlite.py)."""
    lock = state.try_lock(server / LOCK, seconds=state.LOOK_SECONDS)
    if lock is None:
        raise PackhorseError(
            f"Another `mirror shrink` is at work in {server}.",
            "Wait until it has ended; what it has not dropped by then, another run will.",
        )
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database; what SQLite reports becomes an error of ours."""
    os.environ["SQLITE_TMPDIR"] = str(path.parent)  # where `_compact` has looked for space
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_WAIT, isolation_level=None)) as database:
            yield database
    except sqlite3.Error as error:
        raise PackhorseError(
            f"{path}: {error}. Nothing is lost.",
            "Free space on its disk, or wait until nobody uploads, and run this again.",
        ) from error


def _size(path: Path) -> int:
    files = [path, Path(f"{path}-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def _horizon(database: sqlite3.Connection, server: Path) -> int:
    """The serial whose state is kept, and all that came after it.

    devpi looks at the last transaction when it starts, and at what that replaced (keyfs.py, finalize_init);
    its plugins have not heard of those after the event serial.
    """
    (last,) = database.execute("SELECT coalesce(max(serial), 0) FROM changelog").fetchone()
    try:
        heard = int((server / EVENTS).read_bytes()) - 1
    except (FileNotFoundError, ValueError):
        heard = -1
    return min(int(last) - 1, heard)


def _list_live(database: sqlite3.Connection, horizon: int) -> None:
    """Make a table of all keys and the serials that set the values which they have at `horizon`."""
    database.execute("CREATE TEMP TABLE live (key TEXT, serial INTEGER)")
    database.execute("BEGIN")
    database.execute("INSERT INTO live SELECT key, serial FROM main.kv WHERE serial <= ?", (horizon,))
    later = database.execute("SELECT data FROM main.changelog WHERE serial > ?", (horizon,))
    for (data,) in later.fetchall():
        changes, _ = _loads(data)
        replaced = [(key, serial) for key, (_, serial, _) in changes.items() if 0 <= serial <= horizon]
        database.executemany("INSERT INTO live VALUES (?, ?)", replaced)
    database.execute("COMMIT")
    database.execute("CREATE INDEX temp.live_serial ON live (serial)")


def _entries(database: sqlite3.Connection, horizon: int, step: Callable[[], None]) -> Iterator[_Entry]:
    """The transactions up to `horizon` that have values which were replaced."""
    earlier: dict[str, int] = {}
    for serial in range(horizon + 1):
        found = database.execute("SELECT data FROM changelog WHERE serial = ?", (serial,)).fetchone()
        live = {key for (key,) in database.execute("SELECT key FROM live WHERE serial = ?", (serial,))}
        if found and (entry := _without_replaced(serial, bytes(found[0]), live, earlier)):
            yield entry
        step()


def _without_replaced(serial: int, data: bytes, live: set[str], earlier: dict[str, int]) -> _Entry | None:
    """The entry `data` with what has to stay; None when it is so already.

    `earlier`: keys of which several values stay -> the serial of the last one so far.
    """
    from devpi_server.fileutil import dumps

    changes, renames = _loads(data)
    has_file = any(
        name == _FILE and value is not None and key in live for key, (name, _, value) in changes.items()
    )
    kept = {}
    for key, (name, _, value) in changes.items():
        if key in live or name in _USERS or (name == _VERSION and has_file):
            kept[key] = name, earlier.get(key, -1), value
            if name in _USERS or name == _VERSION:
                earlier[key] = serial
    if kept == changes:
        return None
    smaller = dumps((kept, renames))
    return _Entry(serial, smaller, len(data) - len(smaller), len(changes) - len(kept))


def _loads(data: bytes) -> tuple[dict[str, tuple[str, int, object]], list[str]]:
    from devpi_server.fileutil import LoadError, loads

    try:
        changes, renames = loads(data)
    except LoadError as error:
        raise PackhorseError(
            f"The database is damaged: a transaction in it cannot be read ({error}).",
            "Go back to a backup: mirror restore FOLDER",
        ) from error
    return changes, renames


def _batches(entries: Iterator[_Entry]) -> Iterator[list[_Entry]]:
    batch: list[_Entry] = []
    for entry in entries:
        batch.append(entry)
        if sum(each.freed + len(each.data) for each in batch) > _BATCH:
            yield batch
            batch = []
    yield batch


def _write(database: sqlite3.Connection, batch: list[_Entry]) -> None:
    database.execute("BEGIN IMMEDIATE")
    rows = [(entry.data, entry.serial) for entry in batch]
    database.executemany("UPDATE changelog SET data = ? WHERE serial = ?", rows)
    database.execute("COMMIT")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _unused(database: sqlite3.Connection) -> int:
    """Bytes of the database file that hold nothing."""
    return _pragma(database, "freelist_count") * _pragma(database, "page_size")


def _used(database: sqlite3.Connection) -> int:
    return _pragma(database, "page_count") * _pragma(database, "page_size") - _unused(database)


def _compact(database: sqlite3.Connection, server: Path) -> None:
    """Write the database anew without unused pages; readers go on, who writes waits (lang_vacuum.html)."""
    if not _unused(database):
        return
    needed = 2 * _used(database) + 10_000_000  # a copy, and the write-ahead log with all of its pages
    free = shutil.disk_usage(server).free
    if free < needed:
        raise PackhorseError(
            f"The disk of {server} has {quantities.shown(free)} free, this needs {quantities.shown(needed)}."
            " Nothing is lost.",
            "Free that much for a moment, and run this again; until then, new uploads use the space.",
        )
    database.execute("VACUUM")
    deadline = time.monotonic() + _WAIT
    while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] and time.monotonic() < deadline:
        time.sleep(0.1)  # somebody reads what is still in the log only

"""A mirror in, also while it serves, a folder out from which it can be made again; and the way back.

devpi-export is not for this: it leaves out what was cached from the upstream, and bringing back what it
writes replays every upload.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mirror.state import Folder
from packhorse import files
from packhorse.errors import PackhorseError

DATABASE = ".sqlite"
# Pages are made again, downloads are not finished. Files in the other folders are never changed: they are
# made under another name, and removed.
_LEFT_OUT = {"+pages", "+downloads"}
_SCRATCH = ".new"


def make(folder: Folder, target: Path, keep: int, now: datetime) -> Path:
    """Make a backup named by `now` in the folder `target`, and remove all but the last `keep` of them.

    Files are links where `target` is on the mirror's own file system: that protects from mistakes, not from
    the loss of a disk. On another one, files that the backup before has are links to those.
    """
    if not folder.initialised():
        raise PackhorseError(
            f"There is no mirror in {folder.root}.", "Set PACKHORSE_HOME to that of the mirror."
        )
    _make_folder(target)
    for leftover in target.glob(f"*{_SCRATCH}"):
        shutil.rmtree(leftover)
    before = _all(target)
    done = target / now.strftime("%Y-%m-%dT%H%M%SZ")
    scratch = done.with_name(done.name + _SCRATCH)
    scratch.mkdir(mode=0o700)
    _fill(folder, scratch, before[-1] if before else None)
    os.sync()
    scratch.rename(done)
    files.sync_folder(target)
    for old in [*before, done][:-keep]:
        shutil.rmtree(old)
    return done


def restore(folder: Folder, backup: Path) -> None:
    """Make the mirror of `backup` again. Raises PackhorseError when there is one, or no such backup."""
    if folder.root.exists():
        raise PackhorseError(
            f"{folder.root} exists already.", "Stop the mirror that is there, and move its folder away."
        )
    if not (backup / "server" / DATABASE).exists():
        raise PackhorseError(f"{backup} is not a backup.", "Name a folder that `mirror backup` has made.")
    scratch = folder.home / f"mirror{_SCRATCH}"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(backup, scratch, symlinks=True)
    os.sync()
    scratch.rename(folder.root)
    files.sync_folder(folder.home)


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PackhorseError(f"{target}: {error.strerror}", "Name a folder that you may write to.") from error


def _all(target: Path) -> list[Path]:
    return sorted(path for path in target.glob("????-??-??T??????Z") if path.is_dir())


def _fill(folder: Folder, place: Path, before: Path | None) -> None:
    """In an order in which whatever the database names has been copied, and no event is forgotten.

    A file is there before the database names it, and goes after: so files come first, and then those that
    are new. devpi's count of the events that it has handled comes before the database that has them.
    """
    (place / "server").mkdir()
    for name in ("secret", "credentials.json"):
        _copy(folder.root / name, place / name)
    for path in sorted(folder.server.iterdir()):
        if path.is_file() and not path.name.startswith(DATABASE):
            _copy(path, place / "server" / path.name)
    _link_all(folder, place, before)
    _copy_database(folder.server / DATABASE, place / "server" / DATABASE)
    _link_all(folder, place, before)


def _copy(source: Path, place: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, place)


def _copy_database(source: Path, place: Path) -> None:
    """As it is at one moment, while the server goes on (sqlite.org/backup.html)."""
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds the hashes of passwords
    live, copy = sqlite3.connect(source), sqlite3.connect(place)
    with contextlib.closing(live), contextlib.closing(copy):
        try:
            live.backup(copy)
            (found,) = copy.execute("PRAGMA quick_check").fetchone()
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise PackhorseError(
            f"{source} is damaged: {found}", "Go back to an older backup: mirror restore FOLDER"
        )


def _link_all(folder: Folder, place: Path, before: Path | None) -> None:
    for source in _immutable(folder.server):
        name = Path("server") / source.relative_to(folder.server)
        if not (place / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                _link(source, place / name, before / name if before else None)


def _immutable(server: Path) -> Iterator[Path]:
    for path in sorted(server.iterdir()):
        if path.is_dir() and path.name not in _LEFT_OUT:
            yield from (Path(parent, name) for parent, _, names in os.walk(path) for name in names)


def _link(source: Path, place: Path, older: Path | None) -> None:
    try:
        place.hardlink_to(source)
    except OSError as error:
        if error.errno != errno.EXDEV:  # also between two mounts of one file system
            raise
        if older is not None and older.exists() and _same(source, older):
            place.hardlink_to(older)
        else:
            shutil.copy2(source, place)


def _same(one: Path, other: Path) -> bool:
    first, second = one.stat(), other.stat()
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)

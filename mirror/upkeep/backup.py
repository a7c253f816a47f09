"""Back up a mirror while it serves; restore.py brings it back.

devpi-export is not for this: it leaves out what was cached from the upstream, and importing its output
replays every upload.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from mirror import last_settings
from mirror.state import Folder
from packhorse import files
from packhorse.errors import PackhorseError

DATABASE = ".sqlite"
# Pages are rendered again, downloads are unfinished. Files in the other folders never change: they are
# created under another name, and deleted.
_EXCLUDED = {"+pages", "+downloads", "+decisions"}
SCRATCH = ".new"
_NAMES = "????-??-??T??????Z"
SETTINGS = "mirror.toml"


def make(folder: Folder, target: Path, keep: int, now: datetime, settings: Path | None = None) -> Path:
    """Make a backup named by `now` in the folder `target`, and delete all but the last `keep` of them.

    `settings` is the mirror.toml to take along. Raises PackhorseError; nothing is left of the backup then.
    On the mirror's own file system, files are hard links: that protects from mistakes, not from the loss of
    a disk. On another one, files that have not changed are hard links into the previous backup.
    """
    if not folder.initialised():
        raise PackhorseError(
            f"There is no mirror in {folder.root}.", "Set PACKHORSE_HOME to the folder of the mirror."
        )
    if target.resolve().is_relative_to(folder.root.resolve()):
        raise PackhorseError(
            f"{target} is in the mirror's own folder, {folder.root}.",
            "Name a folder elsewhere, best on another disk.",
        )
    with _only_one(target):
        for leftover in target.glob(f"{_NAMES}{SCRATCH}"):
            shutil.rmtree(leftover)
        earlier = _all(target)
        while (done := target / now.strftime("%Y-%m-%dT%H%M%SZ")).exists():
            now += timedelta(seconds=1)
        _make_whole(folder, done, earlier[-1] if earlier else None, settings)
        for old in [*earlier, done][:-keep]:
            shutil.rmtree(old)
    return done


@contextlib.contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Make the folder `target`, and hold it. Raises PackhorseError when another backup does."""
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PackhorseError(f"{target}: {error.strerror}", "Name a folder that you may write to.") from error
    try:
        if not files.try_flock(lock):
            raise PackhorseError(
                f"Another `mirror backup` writes to {target}.", "Wait until it has ended, and run it again."
            )
        yield
    finally:
        os.close(lock)


def _make_whole(folder: Folder, done: Path, previous: Path | None, settings: Path | None) -> None:
    """Make the backup `done`, or nothing. Raises PackhorseError."""
    scratch = done.with_name(done.name + SCRATCH)
    try:
        scratch.mkdir(mode=0o700)
        if settings:
            _keep_settings(settings, scratch / SETTINGS)
        _fill(folder, scratch, previous)
        os.sync()
        scratch.rename(done)
        files.sync_folder(done.parent)
    except OSError as error:
        raise PackhorseError(
            f"{error.filename or done}: {error.strerror}",
            "Make room there (fewer backups with --keep), or name another folder; those that are there stay.",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settings_of(folder: Folder, named: Path | None, default: Path) -> Path | None:
    """The mirror.toml to take along: the one that is `named`, else the one that `mirror init` has read.

    Nobody has noted that one for a mirror that goes by the defaults: it is `default` then, if that is there.
    """
    if named:
        return named
    last = last_settings.read(folder)
    return Path(last.file) if last else default if default.exists() else None


def _keep_settings(source: Path, destination: Path) -> None:
    """For this user alone: the upstream's URL may have a password."""
    try:
        files.write_whole(destination, source.read_bytes(), 0o600)
    except OSError as error:
        raise PackhorseError(
            f"{source}, which has the settings of the mirror: {error.strerror}",
            "Put it there for the user who runs this, or name it: `mirror --config FILE backup …`.",
        ) from error


def _all(target: Path) -> list[Path]:
    return sorted(path for path in target.glob(_NAMES) if path.is_dir())


def _fill(folder: Folder, destination: Path, previous: Path | None) -> None:
    """Copy everything in an order that keeps every file that the database names, and every event.

    devpi writes a file before the database names it, and deletes it afterwards: so files are copied first,
    and new ones once more after the database. devpi's count of handled events is copied before the events.
    """
    (destination / "server").mkdir()
    for name in (
        "secret",
        "credentials.json",
        "advisories.sqlite",
        "trusted_root.json",
        folder.last_settings.name,
    ):
        _copy(folder.root / name, destination / name)
    for path in sorted(folder.server.iterdir()):
        if path.is_file() and not path.name.startswith(DATABASE):
            _copy(path, destination / "server" / path.name)
    _link_all(folder, destination, previous)
    _copy_database(folder.server / DATABASE, destination / "server" / DATABASE)
    _link_all(folder, destination, previous)


def _copy(source: Path, destination: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, destination)


def _copy_database(source: Path, destination: Path) -> None:
    """Copy the state of one moment while the server writes (sqlite.org/backup.html)."""
    # Only for this user: it holds the hashes of passwords.
    os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    live, copy = sqlite3.connect(source), sqlite3.connect(destination)
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


def _link_all(folder: Folder, destination: Path, previous: Path | None) -> None:
    for source in _immutable(folder.server):
        name = Path("server") / source.relative_to(folder.server)
        if not (destination / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # devpi has deleted it meanwhile
                _link(source, destination / name, previous / name if previous else None)


def _immutable(server: Path) -> Iterator[Path]:
    for path in sorted(server.iterdir()):
        if path.is_dir() and path.name not in _EXCLUDED:
            yield from (Path(parent, name) for parent, _, names in os.walk(path) for name in names)


def _link(source: Path, destination: Path, previous: Path | None) -> None:
    try:
        destination.hardlink_to(source)
    except OSError as error:
        if error.errno != errno.EXDEV:  # also between two mounts of one file system
            raise
        if previous is not None and previous.exists() and _same(source, previous):
            destination.hardlink_to(previous)
            _copy_times(source.stat(), destination)
        else:
            copy_unnoticed(source, destination)


def copy_unnoticed(source: Path | str, destination: Path | str) -> None:
    """Copy a file with its mode and times; the last use of both is what it was."""
    with files.open_unnoticed(Path(source)) as content:
        found = os.fstat(content.fileno())
        descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(content, copy, 2**20)
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & 0o777)  # nothing of a mirror is setuid
    _copy_times(found, Path(destination))


def _copy_times(found: os.stat_result, destination: Path) -> None:
    os.utime(destination, ns=(found.st_atime_ns, found.st_mtime_ns))


def _same(one: Path, other: Path) -> bool:
    first, second = one.stat(), other.stat()
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)

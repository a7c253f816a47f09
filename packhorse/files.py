"""The folder of all state, atomic and durable writes of files, the last lines of logs."""

import contextlib
import fcntl
import os
import secrets
import stat
from io import BufferedReader
from pathlib import Path
from typing import IO


def home() -> Path:
    """The folder of all state: `$PACKHORSE_HOME`, else `~/.packhorse`. Absolute; it may not exist."""
    return Path(os.environ.get("PACKHORSE_HOME") or Path.home() / ".packhorse").absolute()


def write_whole(path: Path, data: bytes, mode: int = 0o644, group: int = -1) -> None:
    """Replace `path` by `data` in one step that survives a power cut (temporary name, fsync, rename).

    The file has exactly `mode` and `group` (-1: that of new files) from its first byte on, whatever the
    umask: a secret is never readable by others, not even for a moment. Raises OSError (a full disk leaves
    the old file).
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if group != -1:  # a unit may allow nobody to call it
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()
        raise
    sync_folder(path.parent)


def open_regular(path: Path) -> int | None:
    """A descriptor to read the regular file at `path`; None when there is none, or it cannot be read.

    Whoever writes to its folder may put a link or a pipe there, which could lead or block anywhere.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def open_unnoticed(path: Path) -> BufferedReader:
    """Open a file to read it so that this does not count as its use (O_NOATIME), where we own it."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, flags | os.O_NOATIME), "rb")
    except PermissionError:
        return os.fdopen(os.open(path, flags), "rb")


def read_end(path: Path, most: int, since: int = 0) -> bytes:
    """The last bytes of the regular file at `path`, `most` of those after `since`; b"" for anything else."""
    if (descriptor := open_regular(path)) is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(since, file.seek(0, os.SEEK_END) - most))
        return file.read(most)


def read_beginning(path: Path, most: int) -> bytes:
    """The first bytes of the regular file at `path`, `most` of them; b"" for anything else."""
    if (descriptor := open_regular(path)) is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def open_log(path: Path, most: int = 10 * 2**20) -> IO[bytes]:
    """Open a log to append to it; of more than `most` bytes, it becomes NAME.1 first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > most:
            path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def last_lines(path: Path, count: int = 20, *, since: int = 0) -> str:
    """The last `count` lines of the log at `path` after `since` bytes, "" when there is no such file."""
    return b"\n".join(read_end(path, 64 * 1024, since).splitlines()[-count:]).decode("utf-8", "replace")


def try_flock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file without waiting; False when another opening of it, in any process, holds the lock."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make renames and deletions inside `folder` durable (fsync of the directory, see fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

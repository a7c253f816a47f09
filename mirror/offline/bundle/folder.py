"""Replace a whole folder in one step: a new one is filled beside it, and takes its place when it is whole."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # fcntl.h, renameat2(2)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder, which is in the place of `target` after the block; not when the block raises.

    Whatever kills the process, `target` is the old folder or the new one. What is left beside it then, the
    next call removes. Folders are 0755 and files 0644 whatever the umask: a web server reads them.
    Raises PackhorseError.
    """
    scratch = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        lock = _occupied(scratch)
        try:
            yield scratch
            _make_readable(scratch)
            os.sync()
            _put(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(lock)
    except OSError as error:
        raise PackhorseError(
            f"{error.filename or target}: {error.strerror}",
            f"Make room there, or name a folder beside which you may write; {target} is as it was.",
        ) from error


def recover(target: Path) -> None:
    """Bring back a folder that was moved aside by a process that was killed (see `_put`)."""
    old = _aside(target)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _occupied(scratch: Path) -> int:
    """Make `scratch` an empty folder of this process; a descriptor that holds it."""
    scratch.mkdir(exist_ok=True)
    lock = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if not files.try_flock(lock):
        os.close(lock)
        raise PackhorseError(f"Another process fills {scratch}.", "Wait until it has ended, then try again.")
    for path in scratch.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return lock


def _make_readable(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in names:
            Path(parent, name).chmod(0o644)


def _put(scratch: Path, target: Path) -> None:
    """Let `scratch` take the place of `target`, and the other way round if there was one."""
    if not target.exists():
        scratch.rename(target)
    elif not _exchanged(scratch, target):
        target.rename(_aside(target))
        scratch.rename(target)
        _aside(target).rename(scratch)
    files.sync_folder(target.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot (exFAT)."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        raise OSError(code, os.strerror(code), str(other))
    return False

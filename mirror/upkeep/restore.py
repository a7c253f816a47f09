"""Restore a mirror from a backup that backup.py has made."""

import os
import shutil
import time
from pathlib import Path

from mirror import last_settings
from mirror.state import Folder
from mirror.upkeep import backup
from packhorse import files
from packhorse.errors import PackhorseError

_SECRETS = ("secret", "credentials.json", f"server/{backup.DATABASE}")


def restore(folder: Folder, source: Path, settings: Path | None = None) -> Path | None:
    """Copy the backup `source` to where the mirror lives.

    Its mirror.toml becomes `settings` (None: beside the mirror), never over another one: then its path in the
    backup is returned. The settings of the backup hold until `mirror init` is given another file by name.
    Raises PackhorseError when a mirror is there already, or `source` is no backup.
    """
    if folder.root.exists():
        raise PackhorseError(
            f"{folder.root} exists already.", "Stop the mirror in it, and move the folder away."
        )
    is_whole = not source.name.endswith(backup.SCRATCH)
    if not is_whole or not (source / "server" / backup.DATABASE).exists():
        raise PackhorseError(f"{source} is not a backup.", "Name a folder that `mirror backup` has made.")
    _refuse_odd(source)
    scratch = folder.home / f"mirror{backup.SCRATCH}"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(source, scratch, symlinks=True, copy_function=backup.copy_unnoticed)
    for name in _SECRETS:
        if (scratch / name).exists():
            (scratch / name).chmod(0o600)
    _shift_last_use(scratch, time.time() - (source / "server" / backup.DATABASE).stat().st_mtime)
    os.sync()
    place, has_settings = settings or folder.home / backup.SETTINGS, (scratch / backup.SETTINGS).exists()
    left = _put_settings(scratch / backup.SETTINGS, place)
    if has_settings:
        last_settings.move(scratch / folder.last_settings.name, source / backup.SETTINGS if left else place)
    scratch.rename(folder.root)
    files.sync_folder(folder.home)
    return source / backup.SETTINGS if left else None


def _refuse_odd(source: Path) -> None:
    """Raise PackhorseError for what no backup has: links would lead out of the mirror, pipes never end.

    Who restores may be root, and a disk may come from anywhere.
    """
    for parent, folders, names in os.walk(source):
        for path in (Path(parent, name) for name in (*folders, *names)):
            if not (path.is_file() or path.is_dir()) or path.is_symlink():
                raise PackhorseError(
                    f"{path} is neither a file nor a folder: no backup has such things.",
                    "Find out who has put it there, and restore another backup.",
                )
    for name in (*_SECRETS, backup.SETTINGS, Folder(source).last_settings.name):
        if (source / name).is_dir():
            raise PackhorseError(
                f"{source / name} is a folder: in a backup it is a file.", "Restore another backup."
            )


def _put_settings(source: Path, destination: Path) -> bool:
    """Move mirror.toml to `destination`; True if another file is there, or it cannot be written."""
    if not source.exists():
        return False
    content = source.read_bytes()
    source.unlink()
    try:
        if not destination.exists():
            files.write_whole(destination, content, 0o600)
        return destination.read_bytes() != content
    except OSError:
        return True


def _shift_last_use(root: Path, seconds: float) -> None:
    """Let files count as unused for as long as they were when the backup was made, not since then."""
    for parent, _, names in os.walk(root / "server" / "+files"):
        for path in (Path(parent, name) for name in names):
            found = path.stat()
            used = found.st_atime_ns + int(max(0, seconds) * 1e9)
            os.utime(path, ns=(used, found.st_mtime_ns))

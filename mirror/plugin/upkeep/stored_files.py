"""devpi's records of all stored files, for `mirror check`; and the folder for uploads that are damaged."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from devpi_server.filestore import FileEntry

from mirror.plugin import pinned_hashes
from mirror.plugin.files.lost_uploads import QUARANTINED
from mirror.plugin.upkeep.cached_files import CachedFiles

QUARANTINE = "+quarantine"  # below devpi's server folder


@dataclass(frozen=True)
class StoredFile:
    """A file that devpi has a record of."""

    path: str  # devpi's, "company/dev/+f/abc/0123456789abc/demo-1.0.tar.gz"
    hashes: dict[str, str]
    quarantined: str | None = None  # since when
    pinned: str | None = None  # the sha256 of its first download


class StoredFiles:
    """The records of one devpi-server."""

    def __init__(self, xom: Any, cached: CachedFiles) -> None:
        self._xom = xom
        self._cached = cached

    def all(self) -> dict[str, Any]:
        """All records of files that should be here, and the indexes that are mirrors. Needs a transaction."""
        pins = pinned_hashes.records(self._xom.keyfs)
        found = [
            StoredFile(
                path=str(entry.relpath),
                hashes=dict(entry.hashes),
                quarantined=entry.meta.get(QUARANTINED),
                pinned=pins.get(f"{entry.user}/{entry.index}/{entry.project}/.pinned", {}).get(
                    entry.basename
                ),
            )
            for entry in self._entries()
            if entry.last_modified
        ]
        return {"files": [asdict(each) for each in found], "mirrors": self._cached.indexes()}

    def _entries(self) -> Iterator[FileEntry]:
        keyfs = self._xom.keyfs
        keys = [keyfs.get_key("STAGEFILE"), keyfs.get_key("PYPIFILE_NOMD5")]
        for item in keyfs.tx.iter_relpaths_at(keys, keyfs.tx.at_serial):
            if item.value is not None:
                yield FileEntry(keyfs.get_key_instance(item.keyname, item.relpath), item.value)

    def quarantine(self, paths: Sequence[str]) -> dict[str, str]:
        """Move files of indexes of uploads, or of none, out of what is served: where each goes.

        Each time into a folder of its own: none replaces what went before. Needs a write transaction. A file
        with a record goes after the commit, so that a kill before that leaves both as they were. The record
        says when, and so changes: devpi does not start when the file of its last change is missing
        (filestore_fs.py, perform_crash_recovery).
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {path: f"{QUARANTINE}/{now}/{path}" for path in dict.fromkeys(paths) if self._move(path, now)}

    def _move(self, path: str, now: str) -> bool:
        source = self._cached.root / path
        parts = Path(path).parts
        if ".." in parts or Path(path).is_absolute() or "/".join(parts[:2]) in self._cached.indexes():
            return False
        if not os.path.lexists(source):
            return False
        target = self._cached.root.parent / QUARANTINE / now / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry = self._cached.entry(path)
        if entry is not None and entry.key.exists():
            entry.key.set({**entry.key.get_mutable(), QUARANTINED: now})
            self._xom.keyfs.tx.on_commit_success(partial(source.rename, target))
        else:
            source.rename(target)
        return True

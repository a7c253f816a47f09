"""Remove cached files with all that belongs to them but their hashes: what comes later must be the same."""

import contextlib
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.files import last_use
from mirror.plugin.metadata.store import MetadataStore, WheelKey
from mirror.plugin.simple import filenames
from mirror.plugin.upkeep.cached_files import CachedFiles
from mirror.plugin.upkeep.selection import CachedFile
from mirror.plugin.upstream.page_cache import PageCache

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 8 * 2**20  # bytes that the disk must have for the database to be changed


class Removal:
    """Removes cached files of one devpi-server process."""

    def __init__(
        self, cached: CachedFiles, metadata: MetadataStore, provenance: ProvenanceObjects, pages: PageCache
    ) -> None:
        self._cached = cached
        self._root = cached.root
        self._metadata = metadata
        self._provenance = provenance
        self._pages = pages
        self._emptied: list[Path] = []

    def remove(self, files: Sequence[CachedFile]) -> list[CachedFile]:
        """Remove those of `files` that nobody has used since; return them. Needs a write transaction.

        Nobody else stores a file during one. Call it once more, in another, to remove the last empty folders.
        """
        emptied, self._emptied = self._emptied, []
        for folder in emptied:
            with contextlib.suppress(OSError):  # there is a file again
                folder.rmdir()
        gone = [file for file in files if self._is_unused(file)]
        has_room = shutil.disk_usage(self._root.parent).free > ROOM
        for file in gone:
            self._remove(file, has_room=has_room)
        return gone

    def _is_unused(self, file: CachedFile) -> bool:
        try:
            return last_use.of((self._root / file.path).stat()) <= file.used
        except FileNotFoundError:  # by another prune
            return False

    def _remove(self, file: CachedFile, *, has_room: bool) -> None:
        """Let devpi delete the file with the commit, so that a kill before or after that does no harm."""
        path = self._root / file.path
        self._emptied.append(path.parent)
        entry = self._cached.entry(file.path)
        if entry is None:  # devpi knows nothing of it
            path.unlink()
            return
        if has_room:
            entry.file_delete()
        else:  # the database cannot even write that it is gone
            path.unlink()
        wheel = WheelKey.of(file.path, entry.hashes)
        if entry.key.exists():
            if file.listed and _can_be_found(file):
                entry.key.delete()  # replicas remove the file, too
            else:  # nobody else knows where it was, and its hashes
                left = entry.key.get_mutable()
                left.pop("last_modified", None)  # for devpi there is no file then
                entry.key.set(left)
        sha256 = entry.hashes.get("sha256", "")
        self._provenance.forget(f"{entry.user}/{entry.index}", entry.basename, sha256)
        if wheel and self._metadata.forget(wheel):
            self._pages.changed(file.project)


def _can_be_found(file: CachedFile) -> bool:
    """Whether a page is enough to find it again, see file_paths.can_be_found."""
    name = file.path.rpartition("/")[2]
    return "/+f/" in file.path and filenames.all_begin_with([name], file.project)

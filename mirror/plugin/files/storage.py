"""Store downloaded files in devpi's file storage."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from devpi_server.filestore import Digests

from mirror.plugin import pinned_hashes
from mirror.plugin.files.downloads import Download
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.write_queue import WriteQueue


class DevpiStorage:
    """devpi's storage of files, written by the write queue."""

    def __init__(
        self,
        xom: Any,
        writes: WriteQueue,
        pages: PageCache,
        stored: Callable[[int], None] = lambda _: None,
        arrived: Callable[[Any, Path], object] = lambda *_: None,
    ) -> None:
        """`stored` is told the size of each file that is kept, `arrived` the entry and where it is."""
        self._xom = xom
        self._writes = writes
        self._pages = pages
        self._stored = stored
        self._arrived = arrived

    def keep(self, download: Download, found: dict[str, str]) -> None:
        """Return when the file is stored for good."""
        self._keep(download, found)
        self._stored(download.path.stat().st_size)

    def _keep(self, download: Download, found: dict[str, str]) -> None:
        entry = download.request.entry
        if not (self._xom.is_replica() or entry.has_existing_metadata()):
            self._writes.do(lambda: self.keep_new(download, found))
            if "sha256" not in entry.hashes:  # its page shows one from now on
                self._pages.changed(entry.project)
            return
        # devpi (or its primary) knows the file, only its bytes were not here: no new serial
        with self._xom.keyfs.filestore_transaction(), _content(download.path) as content:
            entry.file_set_content_no_meta(content, hashes=Digests(found))
            path = _path_after_commit(entry)
        self._arrived(entry, path)
        if self._xom.is_replica():  # its administrator is shown the files that could not be replicated
            self._xom.replica_thread.shared_data.errors.remove(entry)

    def keep_new(self, download: Download, found: dict[str, str]) -> None:
        """Store the file and its entry, as `iter_cache_remote_file` in devpi's views.py does."""
        known = download.request.entry
        stage = self._xom.model.getstage(known.user, known.index)
        if stage is None:
            return  # deleted meanwhile: clients that wait get the file, but it is not stored
        entry = self._xom.filestore.get_file_entry_from_key(known.key, meta=known.meta)
        with _content(download.path) as content:
            entry.file_set_content(
                content,
                last_modified=download.last_modified,
                hash_spec=entry._hash_spec,  # noqa: SLF001 (listed in compat.py)
                hashes=Digests(found),
            )
        if entry.project:
            pinned_hashes.pin(self._xom.keyfs, entry, found["sha256"])
        self._xom.keyfs.tx.on_commit_success(partial(self._arrived, known, _path_after_commit(entry)))


def _path_after_commit(entry: Any) -> Path:
    """Path that the file of `entry`, which is being stored, has after its transaction."""
    return Path(entry.file_os_path(_raises=False))


def _content(path: Path) -> BinaryIO:
    """Open `path` so that devpi makes a hard link to it instead of a copy."""
    content = path.open("rb")
    content.devpi_srcpath = path  # type: ignore[attr-defined]  # devpi_server.filestore_fs looks for it
    return content

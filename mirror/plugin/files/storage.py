"""A finished download in, a file in devpi's storage out."""

from pathlib import Path
from typing import Any, BinaryIO

from devpi_server.filestore import Digests

from mirror.plugin.files.downloads import Download
from mirror.plugin.write_queue import WriteQueue


class DevpiStorage:
    """Puts finished downloads into devpi's storage."""

    def __init__(self, xom: Any, writes: WriteQueue) -> None:
        self._xom = xom
        self._writes = writes

    def keep(self, download: Download, found: dict[str, str]) -> None:
        """Return when the file is kept for good."""
        entry = download.order.entry
        if not (self._xom.is_replica() or entry.has_existing_metadata()):
            self._writes.do(lambda: self._keep_new(download, found))
            return
        # devpi (or its primary) knows the file, only its bytes were not here: no new serial
        with self._xom.keyfs.filestore_transaction(), _content(download.path) as content:
            entry.file_set_content_no_meta(content, hashes=Digests(found))
        if self._xom.is_replica():  # its administrator is shown the files that could not be replicated
            self._xom.replica_thread.shared_data.errors.remove(entry)

    def _keep_new(self, download: Download, found: dict[str, str]) -> None:
        """As `iter_cache_remote_file` in devpi's views.py does it."""
        known = download.order.entry
        stage = self._xom.model.getstage(known.user, known.index)
        if stage is None:
            return  # deleted while it was on its way: those who wait get it, but it is not kept
        entry = self._xom.filestore.get_file_entry_from_key(known.key, meta=known.meta)
        with _content(download.path) as content:
            entry.file_set_content(
                content,
                last_modified=download.last_modified,
                hash_spec=entry._hash_spec,  # noqa: SLF001 (listed in compat.py)
                hashes=Digests(found),
            )


def _content(path: Path) -> BinaryIO:
    """`path` opened in the form that devpi takes over by a hard link instead of a copy."""
    content = path.open("rb")
    content.devpi_srcpath = path  # type: ignore[attr-defined]  # devpi_server.filestore_fs looks for it
    return content

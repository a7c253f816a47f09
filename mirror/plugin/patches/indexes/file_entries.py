"""Let devpi find the entries of mirrored files on the pages that list them.

Stock devpi writes an entry for every file of a page, thousands in a transaction, of which hardly any
is ever asked for: that is most of the time that a first request for a page takes, and most of the
database.
"""

from typing import Any

from devpi_server.filestore import FileStore
from devpi_server.keyfs_types import RelPath

from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.page_cache import PageCache


def apply(filestore: FileStore, pages: PageCache) -> None:
    """Look into `pages` for entries that `filestore` has not."""

    def get_file_entry(relpath: str) -> Any:
        entry = FileStore.get_file_entry(filestore, RelPath(relpath))
        return (
            entry
            if entry is not None and entry.meta
            else entries.of_page(filestore.keyfs, pages, relpath) or entry
        )

    filestore.get_file_entry = get_file_entry  # type: ignore[method-assign]

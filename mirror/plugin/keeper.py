"""A finished download in, a file in devpi's storage out: all that wait in one transaction."""

import queue
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from devpi_server.filestore import Digests

from mirror.plugin.flights import Flight


class Keeper:
    """Puts finished downloads into devpi's storage.

    All that wait go into one transaction, because each transaction costs several fsyncs.
    """

    def __init__(self, xom: Any) -> None:
        self._xom = xom
        self._queue: queue.SimpleQueue[tuple[Flight, dict[str, str], Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="keep-downloads", daemon=True).start()

    def keep(self, flight: Flight, found: dict[str, str]) -> None:
        """Return when the file is kept for good."""
        kept: Future[None] = Future()
        self._queue.put((flight, found, kept))
        kept.result()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            try:
                self._keep([(flight, found) for flight, found, _ in batch])
            except Exception as error:  # noqa: BLE001 (each waiting download reports it)
                for _, _, kept in batch:
                    kept.set_exception(error)
            else:
                for _, _, kept in batch:
                    kept.set_result(None)

    def _keep(self, batch: list[tuple[Flight, dict[str, str]]]) -> None:
        new = [item for item in batch if not item[0].order.entry.has_existing_metadata()]
        again = [item for item in batch if item not in new]
        if new:
            with self._xom.keyfs.write_transaction():
                for flight, found in new:
                    self._keep_new(flight, found)
        if again:  # devpi knows these files, only their bytes were gone: no new serial
            with self._xom.keyfs.filestore_transaction():
                for flight, found in again:
                    with _content(flight.path) as content:
                        flight.order.entry.file_set_content_no_meta(content, hashes=Digests(found))

    def _keep_new(self, flight: Flight, found: dict[str, str]) -> None:
        """As `iter_cache_remote_file` in devpi's views.py does it."""
        known = flight.order.entry
        stage = self._xom.model.getstage(known.user, known.index)
        if stage is None:
            return  # deleted while it was on its way: those who wait get it, but it is not kept
        entry = self._xom.filestore.get_file_entry_from_key(known.key, meta=known.meta)
        with _content(flight.path) as content:
            entry.file_set_content(
                content,
                last_modified=flight.last_modified,
                hash_spec=entry._hash_spec,  # noqa: SLF001 (listed in internals.py)
                hashes=Digests(found),
            )
        if entry.project:
            stage.add_project_name(entry.project)


def _content(path: Path) -> BinaryIO:
    """`path` opened in the form that devpi takes over by a hard link instead of a copy."""
    content = path.open("rb")
    content.devpi_srcpath = path  # type: ignore[attr-defined]  # devpi_server.filestore_fs looks for it
    return content

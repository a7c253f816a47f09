"""Compress stored pages in a background thread, once no more are rendered."""

import queue
import threading

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageKey, PageStore

QUIET = 10.0  # seconds without a new page: compressing takes longer than all else that a page needs
MOST = 1000  # pages that wait for that


class Compressor:
    """The queue and the thread of one devpi-server process."""

    def __init__(self, store: PageStore, quiet: float = QUIET) -> None:
        self._store = store
        self._quiet = quiet
        self._queue: queue.SimpleQueue[PageKey] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="compress pages", daemon=True).start()

    def enqueue(self, key: PageKey) -> None:
        """Compress the page of `key` soon."""
        self._queue.put(key)

    def _run(self) -> None:
        while True:
            for key in self._batch():
                try:
                    self._store.compress(key)
                except OSError as error:  # a full disk: clients get the page as it is
                    threadlog.error("the page of %s cannot be compressed: %s", key, error)

    def _batch(self) -> dict[PageKey, None]:
        """The keys that wait, once no more come."""
        keys = {self._queue.get(): None}
        while len(keys) < MOST:
            try:
                keys[self._queue.get(timeout=self._quiet)] = None
            except queue.Empty:
                break
        return keys

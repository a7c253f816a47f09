"""New pages in, their .gz beside them out: made when the clients that wait have been answered."""

import queue
import threading

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageKey, PageStore

QUIET = 10.0  # seconds without a new page: packing takes longer than all else that a page needs
MOST = 1000  # pages that wait for it


class Compressor:
    """Packs the pages of one devpi-server process."""

    def __init__(self, store: PageStore, quiet: float = QUIET) -> None:
        self._store = store
        self._quiet = quiet
        self._queue: queue.SimpleQueue[PageKey] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="pack pages", daemon=True).start()

    def expect(self, place: PageKey) -> None:
        """Pack the page of `place` soon."""
        self._queue.put(place)

    def _run(self) -> None:
        while True:
            for place in self._calm():
                try:
                    self._store.pack(place)
                except OSError as error:  # a full disk: clients get the page as it is
                    threadlog.error("the page of %s is not packed: %s", place, error)

    def _calm(self) -> dict[PageKey, None]:
        """The places that wait, once no more come."""
        places = {self._queue.get(): None}
        while len(places) < MOST:
            try:
                places[self._queue.get(timeout=self._quiet)] = None
            except queue.Empty:
                break
        return places

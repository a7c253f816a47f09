"""Drop all pages when what policies decide by has changed outside of the database: advisories, the day."""

import threading
import time
from collections.abc import Callable

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageStore

INTERVAL = 1.0  # seconds between two looks


class Dropper:
    """Compares a state; pages that are being rendered meanwhile compare it themselves (Snapshot)."""

    def __init__(self, store: PageStore, state: Callable[[], object], counts: Callable[[], bool]) -> None:
        """`counts`: whether any page depends on the state; asked when that has changed."""
        self._store = store
        self._state = state
        self._counts = counts
        self._seen = state()

    def start(self) -> None:
        """Look every second, in a thread of its own."""
        threading.Thread(target=self._run, name="watch advisories", daemon=True).start()

    def look(self) -> None:
        """Drop all pages if something has changed since the last look."""
        state = self._state()
        if state == self._seen:
            return
        if self._counts():
            with self._store.changing(None):
                pass
        self._seen = state  # not before: if the disk fails, the next look tries again

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 (the database may be locked, the disk full; never end)
                threadlog.error("pages from before the newest advisories stay for now: %s", error)

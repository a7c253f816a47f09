"""Fresh pages of mirrors, each with its time; a thread makes them stale when it has come."""

import heapq
import threading
import time
from collections.abc import Callable
from math import inf

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageKey, PageStore


class Expiry:
    """nginx serves what is fresh without asking anybody: so nothing may be there after its time."""

    def __init__(self, store: PageStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._due: list[tuple[float, str, str]] = []
        self._until: dict[PageKey, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def expect(self, place: PageKey, until: float) -> None:
        """Make the page of `place` stale at `until`, unless another time is set before that; inf: never."""
        if until == inf:
            return
        self.note(place, until)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="expire pages", daemon=True)
                self._thread.start()
            self._changed.notify()

    def note(self, place: PageKey, until: float) -> None:
        """The same, for one who calls `expire` himself."""
        with self._changed:
            if self._until.get(place) != until:
                self._until[place] = until
                heapq.heappush(self._due, (until, place.index, place.project))

    def expire(self) -> float | None:
        """Make stale what is due; seconds until the next one."""
        while True:
            with self._changed:
                if not self._due:
                    return None
                until, index, project = self._due[0]
                left = until - self._clock()
                if left > 0:
                    return left
                heapq.heappop(self._due)
                place = PageKey(index, project)
                if self._until.get(place) != until:
                    continue  # it was confirmed meanwhile
                del self._until[place]
            self._store.move(place, fresh=False)

    def _run(self) -> None:
        while True:
            try:
                left = self.expire()
            except OSError as error:  # a full disk, perhaps: this must not end the thread
                threadlog.error("expired pages stay where they are for now: %s", error)
                left = 1.0
            with self._changed:
                self._changed.wait(left)

"""Expire pages of mirrors: a background thread makes each stale, or takes it away, at its time."""

import heapq
import threading
import time
from collections.abc import Callable
from math import inf

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageKey, PageStore


class Expiry:
    """Times of fresh pages. nginx serves these without asking: none may be there after its time."""

    def __init__(self, store: PageStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._due: list[tuple[float, str, str, bool]] = []
        self._until: dict[tuple[PageKey, bool], float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def schedule(self, key: PageKey, until: float, *, is_untrue: bool = False) -> None:
        """Make the page of `key` stale at `until`, unless another time is set before that; inf: never.

        `is_untrue`: what it says will not be true any more, so that it goes away.
        """
        if until == inf:
            return
        self.note(key, until, is_untrue=is_untrue)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="expire pages", daemon=True)
                self._thread.start()
            self._changed.notify()

    def note(self, key: PageKey, until: float, *, is_untrue: bool = False) -> None:
        """Do the same for a caller of `expire`, without the thread."""
        with self._changed:
            if self._until.get((key, is_untrue)) != until:
                self._until[key, is_untrue] = until
                heapq.heappush(self._due, (until, key.index, key.project, is_untrue))

    def expire(self) -> float | None:
        """Make stale what is due; return the seconds until the next page is, None without one."""
        while True:
            with self._changed:
                if not self._due:
                    return None
                until, index, project, is_untrue = self._due[0]
                left = until - self._clock()
                if left > 0:
                    return left
                heapq.heappop(self._due)
                key = PageKey(index, project)
                if self._until.get((key, is_untrue)) != until:
                    continue  # it was confirmed meanwhile
                del self._until[key, is_untrue]
            if is_untrue:
                self._store.remove(key)
            else:
                self._store.move(key, fresh=False)

    def _run(self) -> None:
        while True:
            try:
                left = self.expire()
            except OSError as error:  # a full disk, perhaps: this must not end the thread
                threadlog.error("expired pages stay where they are for now: %s", error)
                left = 1.0
            with self._changed:
                self._changed.wait(left)

"""Negative cache: projects that an upstream answered 404 for."""

import threading

from cachetools import TLRUCache

REMEMBERED = 10_000  # projects


class NegativeCache:
    """Projects that do not exist, each for some seconds. Thread-safe."""

    def __init__(self) -> None:
        self._seconds: TLRUCache[str, float] = TLRUCache(REMEMBERED, lambda _, seconds, now: now + seconds)
        self._lock = threading.Lock()

    def __contains__(self, project: str) -> bool:
        with self._lock:
            return project in self._seconds

    def add(self, project: str, seconds: float) -> None:
        """Remember it for so long."""
        with self._lock:
            self._seconds[project] = seconds

    def discard(self, project: str) -> None:
        """Forget it: the upstream has it now."""
        with self._lock:
            self._seconds.pop(project, None)

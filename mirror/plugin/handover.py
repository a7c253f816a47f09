"""What was just read from an upstream, for the request that waits for it: not to be read a second time."""

import threading

from mirror.plugin.facts import ProjectFacts

MOST = 10_000_000  # characters of the texts; their facts take about three times that


class Handover:
    """Facts by the text that they are stored as: the same text always means the same. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[str, ProjectFacts] = {}

    def give(self, text: str, project: ProjectFacts) -> None:
        """Have `project` ready for `take`, unless too much that nobody takes comes after it."""
        with self._lock:
            self._waiting[text] = project
            while sum(map(len, self._waiting)) > self._most:
                del self._waiting[next(iter(self._waiting))]

    def take(self, text: str) -> ProjectFacts | None:
        """What `text` says, once."""
        with self._lock:
            return self._waiting.pop(text, None)

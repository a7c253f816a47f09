"""Throttle of wrong passwords, by client and by user name."""

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

MOST = 10_000  # clients and names that are remembered
WAIT = 10.0  # seconds for a turn


@dataclass(frozen=True)
class Limit:
    """`burst` wrong passwords at once, then one more each `seconds`."""

    burst: int
    seconds: float


OF_NAME = Limit(burst=10, seconds=6)
OF_CLIENT = Limit(burst=200, seconds=1)  # many people may share an address


class Throttle:
    """Counts the wrong passwords of each client, and of each user name at it.

    A password that was right the last time is let through all the same: others who guess lock out nobody.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # What a limit still takes is a point in time, as in GCRA (the leaky bucket as a meter).
        self._full_until: TTLCache[tuple[str, ...], float] = TTLCache(MOST, ttl=600, timer=clock)
        self._right: LRUCache[bytes, None] = LRUCache(MOST)
        self._key = secrets.token_bytes(32)
        # A check takes a tenth of a second of a processor; those that wait for one hold their threads.
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def is_known(self, name: str, password: str) -> bool:
        """Whether this password was right the last time."""
        with self._lock:
            return self._digest(name, password) in self._right

    def seconds_to_wait(self, client: str, name: str) -> float:
        """0 when the client may try a password of this user now."""
        with self._lock:
            return max(0.0, *(self._excess(key, limit) for key, limit in _limits(client, name)))

    def count(self, client: str, name: str, password: str, *, right: bool) -> None:
        """Note what came of a try with a password."""
        digest = self._digest(name, password)
        with self._lock:
            if right and digest not in self._right:  # a client that sends it each time forgives no guesses
                self._full_until.pop((client, name), None)
            self._right.pop(digest, None)
            if right:
                self._right[digest] = None
            else:
                for key, limit in _limits(client, name):
                    now = self._clock()
                    self._full_until[key] = max(now, self._full_until.get(key, now)) + limit.seconds

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether a processor is free for a check, after some seconds of waiting."""
        free = self._turns.acquire(timeout=WAIT)
        try:
            yield free
        finally:
            if free:
                self._turns.release()

    def _excess(self, key: tuple[str, ...], limit: Limit) -> float:
        return self._full_until.get(key, 0.0) - self._clock() - (limit.burst - 1) * limit.seconds

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{name}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key).digest()


def _limits(client: str, name: str) -> list[tuple[tuple[str, ...], Limit]]:
    return [((client, name), OF_NAME), ((client,), OF_CLIENT)]

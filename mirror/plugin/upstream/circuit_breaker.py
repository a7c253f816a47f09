"""Circuit breaker: an upstream that failed, or a page of it, is not asked again for some seconds."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from cachetools import LRUCache

from mirror.plugin.upstream.client import RETRY_AFTER, GatewayError

RETRY = float(RETRY_AFTER)  # seconds until an upstream (or a page of it) that failed is asked again
LONGEST_RETRY = 60.0  # however long the upstream asks us to stay away
REMEMBERED = 10_000  # projects that failed


@dataclass
class _Failure:
    error: GatewayError
    until: float


class CircuitBreaker:
    """Recent failures of the upstream of one mirror index. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pages: LRUCache[str, _Failure] = LRUCache(REMEMBERED)
        self._down: _Failure | None = None  # no connection
        self._slow: _Failure | None = None  # a client that had something old to show gave up waiting

    def check(self, project: str, *, has_old: bool) -> bool:
        """Whether the upstream has failed and not answered since.

        Raises GatewayError while it may not be asked. A slow upstream is asked
        only for clients who have nothing old to show.
        """
        failure = self._pages.get(project) or self._down or (self._slow if has_old else None)
        left = failure.until - self._clock() if failure else 0.0
        if failure and left > 0:
            raise failure.error.again(str(math.ceil(left)))
        return failure is not None

    def probe(self) -> None:
        """Half-open: the request that begins now is the only one to find out whether an upstream is back."""
        for failure in filter(None, (self._down, self._slow)):
            failure.until = self._clock() + RETRY

    def succeeded(self, project: str) -> None:
        """The upstream has answered."""
        self._down = self._slow = None
        self._pages.pop(project, None)

    def failed(self, project: str, error: GatewayError) -> None:
        """The upstream has answered with an error, or not at all."""
        wait = min(float(error.headers.get("Retry-After", RETRY)), LONGEST_RETRY)
        failure = self._pages[project] = _Failure(error, self._clock() + wait)
        self._slow = None
        # An error page comes from somebody; without a connection, other projects fare no better.
        self._down = failure if isinstance(error.__cause__, httpx.TransportError) else None

    def timed_out(self, error: GatewayError) -> None:
        """A client gave up waiting; the request goes on."""
        self._slow = _Failure(error, self._clock() + RETRY)

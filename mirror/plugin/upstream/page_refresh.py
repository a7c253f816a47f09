"""Single flight for upstream pages, with a circuit breaker and limits on how long clients wait."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from devpi_server.log import threadlog

from mirror.plugin.metrics import counters
from mirror.plugin.single_flight import SingleFlight
from mirror.plugin.upstream.circuit_breaker import CircuitBreaker
from mirror.plugin.upstream.client import GatewayError

PATIENCE = 3.0  # seconds that a client waits for news when there is something to show
BRIEFLY = 0.3  # the same, after the upstream failed or was slower than that
CROWD = 20  # clients that wait: with more, none keeps its thread of the server for longer than PATIENCE


_FETCHING = counters.QUEUE.labels("pages")


class _Request(Future[None]):
    def __init__(self, began: float) -> None:
        super().__init__()
        self.began = began


class PageRefresh:
    """The requests for pages that one process makes for one mirror index. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._breaker = CircuitBreaker(clock)
        self._requests: SingleFlight[_Request] = SingleFlight(_in_new_thread)
        self.waiting = 0  # clients, now

    def ask(self, project: str, fetch: Callable[[], None], *, may_wait: float, has_old: bool) -> None:
        """Return when `fetch` is done, for this client or for one that came before. Raises what it raised.

        Raises GatewayError at once while the upstream or this page is known to fail, and after `may_wait`
        seconds; the request goes on then. With something old to show, nobody waits for an upstream
        that failed lately: the next try goes on behind.
        """
        counters.asked_upstream()
        with self._lock:
            failed = self._breaker.check(project, has_old=has_old)
            if has_old:
                may_wait = min(may_wait, BRIEFLY if failed else PATIENCE)
            request = self._requests.join(project, self._begin, lambda _: self._fetch(project, fetch))
            left = max(0.0, request.began + may_wait - self._clock())
            self.waiting += 1
        try:
            self._wait(request, left)
        except TimeoutError:
            error = GatewayError(503, f"the upstream has not yet answered for {project}", "1")
            with self._lock:
                self._breaker.timed_out(error)
            raise error from None
        finally:
            with self._lock:
                self.waiting -= 1

    @property
    def pending(self) -> int:
        """Requests that the upstream has not answered yet."""
        return len(self._requests)

    def _begin(self) -> _Request:
        self._breaker.probe()
        return _Request(self._clock())

    def _wait(self, request: _Request, seconds: float) -> None:
        """Raises what the request raised, or TimeoutError."""
        try:
            request.result(min(seconds, PATIENCE))
        except TimeoutError:
            if seconds <= PATIENCE or self.waiting > CROWD:
                raise
            request.result(seconds - PATIENCE)

    def _fetch(self, project: str, fetch: Callable[[], None]) -> None:
        try:
            with _FETCHING.track_inprogress():
                fetch()
        except GatewayError as error:
            threadlog.warn("%s: %s", project, error.text)
            with self._lock:
                self._breaker.failed(project, error)
            raise
        except BaseException:
            with self._lock:
                self._breaker.succeeded(project)
            raise
        with self._lock:
            self._breaker.succeeded(project)


def _in_new_thread(function: Callable[..., None], key: str, *arguments: object) -> None:
    threading.Thread(target=function, args=(key, *arguments), name=f"ask {key}", daemon=True).start()

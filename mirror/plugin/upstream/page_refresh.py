"""When a mirror asks its upstream: once however many wait, and hardly at all while the upstream is down."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import httpx
from devpi_server.log import threadlog

from mirror.plugin.upstream.client import RETRY_AFTER, GatewayError

PATIENCE = 3.0  # seconds that a client waits for news when there is something to show
BRIEFLY = 0.3  # the same, after the upstream failed or was slower than that
CROWD = 20  # clients that wait: with more, none keeps its thread of the server for longer than PATIENCE
RETRY = float(RETRY_AFTER)  # seconds until an upstream (or a page of it) that failed is asked again
LONGEST_RETRY = 60.0  # however long the upstream asks us to stay away
REMEMBERED = 10_000  # projects that failed or do not exist; then the outdated ones are forgotten


@dataclass
class _Failure:
    trouble: GatewayError
    until: float

    def again(self, now: float) -> GatewayError:
        """A new exception for each who asks: one that is raised many times collects tracebacks."""
        return GatewayError(self.trouble.status, self.trouble.text, str(max(1, math.ceil(self.until - now))))


@dataclass
class _Question:
    asked: float
    answer: "Future[None]"


class PageRefresh:
    """What one mirror index of one process knows about its upstream's mood. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._questions: dict[str, _Question] = {}
        self._failures: dict[str, _Failure] = {}
        self._down: _Failure | None = None  # nobody is there
        self.waiting = 0  # clients, now
        self._slow: _Failure | None = None  # somebody who had something old to show lost patience

    def ask(self, project: str, question: Callable[[], None], *, may_wait: float, has_old: bool) -> None:
        """Return when `question` (that somebody asked, perhaps already) is answered. Raises what it raised.

        Raises GatewayError at once while the upstream or this page is known to fail, and after `may_wait`
        seconds; the question goes on then. With something old to show, nobody waits for an upstream
        that failed lately: the next try goes on behind.
        """
        with self._lock:
            failed = self._failures.get(project) or self._down or (self._slow if has_old else None)
            if failed and self._clock() < failed.until:
                raise failed.again(self._clock())
            if has_old:
                may_wait = min(may_wait, BRIEFLY if failed else PATIENCE)
            pending = self._questions.get(project) or self._begin(project, question)
            left = max(0.0, pending.asked + may_wait - self._clock())
            self.waiting += 1
        try:
            self._wait(pending.answer, left)
        except TimeoutError:
            trouble = GatewayError(503, f"the upstream has not yet answered for {project}", "1")
            with self._lock:
                self._slow = _Failure(trouble, self._clock() + RETRY)
            raise trouble from None
        finally:
            with self._lock:
                self.waiting -= 1

    @property
    def pending(self) -> int:
        """Questions that the upstream has not answered yet."""
        return len(self._questions)

    def _wait(self, answer: "Future[None]", seconds: float) -> None:
        """Raises what the question raised, or TimeoutError."""
        try:
            answer.result(min(seconds, PATIENCE))
        except TimeoutError:
            if seconds <= PATIENCE or self.waiting > CROWD:
                raise
            answer.result(seconds - PATIENCE)

    def _begin(self, project: str, question: Callable[[], None]) -> _Question:
        # The next try of an upstream that was down is made by one; the others still see it down.
        for failure in filter(None, (self._down, self._slow)):
            failure.until = self._clock() + RETRY
        asked = self._questions[project] = _Question(self._clock(), Future())
        arguments = (project, question, asked.answer)
        threading.Thread(target=self._run, args=arguments, name=f"ask {project}", daemon=True).start()
        return asked

    def _run(self, project: str, question: Callable[[], None], answer: "Future[None]") -> None:
        try:
            question()
        except GatewayError as trouble:
            threadlog.warn("%s: %s", project, trouble.text)
            self._failed(project, trouble)
            answer.set_exception(trouble)
        except BaseException as error:  # noqa: BLE001 (for all who wait)
            self._answered(project)
            answer.set_exception(error)
        else:
            self._answered(project)
            answer.set_result(None)
        finally:
            with self._lock:
                del self._questions[project]

    def _answered(self, project: str) -> None:
        with self._lock:
            self._down = self._slow = None
            self._failures.pop(project, None)

    def _failed(self, project: str, trouble: GatewayError) -> None:
        now = self._clock()
        wait = min(float(trouble.headers.get("Retry-After", RETRY)), LONGEST_RETRY)
        failure = _Failure(trouble, now + wait)
        with self._lock:
            self._failures[project] = failure
            self._slow = None
            # An error page comes from somebody; without a connection, other projects fare no better.
            self._down = failure if isinstance(trouble.__cause__, httpx.TransportError) else None
            if len(self._failures) > REMEMBERED:
                self._failures = {name: kept for name, kept in self._failures.items() if kept.until > now}

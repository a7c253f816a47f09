"""Runs: evidence of a project is collected batch by batch, and clients take turns.

After each batch a run goes to the end of its client's queue. So neither a client with many projects nor a
project with thousands of files keeps others waiting.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mirror.plugin.upstream.client import GatewayError

MOST = 64  # runs of one client; uv asks for 50 pages at once


class Tasks(Protocol):
    """Threads with a fair queue (connections/dispatcher.py)."""

    def add_task(self, task: "Turn") -> None:
        """Call `task.service()` in a thread when it is the turn of `task.client`."""


class Run:
    """The collection for one key: `batch` collects the next files, and is false when there are no more."""

    def __init__(self, key: str, batch: Callable[[], bool]) -> None:
        self.key = key
        self.batch = batch
        self.began = threading.Event()  # the first batch is stored, or nothing can be
        self.clients: set[str] = set()  # in whose queues it is
        self.is_at_work = False


@dataclass(frozen=True)
class Turn:
    """A run's place in the queue of a client, as a task of waitress."""

    runs: "Runs"
    run: Run
    client: str
    lane = "reads"  # the lane that may use all threads

    def service(self) -> None:
        """Collect the next batch."""
        self.runs.go_on(self)

    def cancel(self) -> None:
        """Nothing is lost: who asks again starts it again."""


class Runs:
    """The runs of one devpi-server process, by key. Thread-safe."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._runs: dict[str, Run] = {}
        self._of_client: Counter[str] = Counter()
        self._lock = threading.Lock()

    def join(self, client: str, key: str, batch: Callable[[], bool]) -> Run:
        """The run for `key`, which waits in the queue of `client` from now on, too, or for the first time.

        Raises GatewayError when too many of this client wait.
        """
        with self._lock:
            run = self._runs.get(key)
            if run and client in run.clients:
                return run
            if self._of_client[client] >= MOST:
                raise GatewayError(
                    503, "policies need more about the projects that you asked for before", "1"
                )
            if run is None:
                run = self._runs[key] = Run(key, batch)
            run.clients.add(client)
            self._of_client[client] += 1
        self._tasks.add_task(Turn(self, run, client))
        return run

    def go_on(self, turn: Turn) -> None:
        """Collect one batch of a run, and put it at the end of the queue if there may be more."""
        run = turn.run
        with self._lock:
            if run.is_at_work or turn.client not in run.clients:  # it goes on in another client's queue
                self._leave(run, turn.client)
                return
            run.is_at_work = True
        goes_on = False
        try:
            goes_on = run.batch()
        finally:
            with self._lock:
                run.is_at_work = False
                if not goes_on:
                    del self._runs[run.key]
                    for client in list(run.clients):
                        self._leave(run, client)
            run.began.set()
        if goes_on:
            self._tasks.add_task(turn)

    def _leave(self, run: Run, client: str) -> None:
        if client in run.clients:
            run.clients.remove(client)
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

"""Queue of waiting requests: clients take turns, and none of them may use all threads. Pure."""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Key:
    """The lane that a request goes by, and the client that it comes from."""

    lane: str
    client: str


class Task(Protocol):
    """A request that waits for a thread (waitress)."""

    def service(self) -> None:
        """Answer it."""

    def cancel(self) -> None:
        """Drop it: the server ends."""


class FairQueue:
    """Waiting tasks, first in first out for each client; the caller holds a lock.

    `lanes` says how many tasks of a lane may run at once, `most` how many of one client. A task that may not
    run yet does not count: the queue is empty (false) when there is nothing for a thread to do.
    """

    def __init__(self, lanes: Mapping[str, int], most: int) -> None:
        self._lanes = lanes
        self._most = most
        self._waiting: dict[str, OrderedDict[str, deque[Task]]] = {lane: OrderedDict() for lane in lanes}
        self._running: Counter[str] = Counter()  # by lane
        self._of_client: Counter[str] = Counter()

    def append(self, key: Key, task: Task) -> None:
        self._waiting[key.lane].setdefault(key.client, deque()).append(task)

    def __bool__(self) -> bool:
        return self._next() is not None

    def popleft(self) -> tuple[Key, Task]:
        """The next task, which runs from now on until `done`. Raises IndexError without one."""
        key = self._next()
        if key is None:
            raise IndexError("no task may run")
        clients = self._waiting[key.lane]
        task = clients[key.client].popleft()
        if clients[key.client]:
            clients.move_to_end(key.client)
        else:
            del clients[key.client]
        self._running[key.lane] += 1
        self._of_client[key.client] += 1
        return key, task

    def done(self, key: Key) -> bool:
        """Note the end of a task that `popleft` gave with `key`; whether others may have waited for it."""
        was_full = (
            self._running[key.lane] == self._lanes[key.lane] or self._of_client[key.client] == self._most
        )
        self._running[key.lane] -= 1
        self._of_client[key.client] -= 1
        if not self._of_client[key.client]:
            del self._of_client[key.client]
        return was_full

    def _next(self) -> Key | None:
        for lane, clients in self._waiting.items():
            if self._running[lane] < self._lanes[lane]:
                for client in clients:
                    if self._of_client[client] < self._most:
                        return Key(lane, client)
        return None

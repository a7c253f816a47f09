"""Queue of waiting requests: clients take turns, and none of them may use all threads. Pure."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Task(Protocol):
    """A request that waits for a thread (waitress)."""

    def service(self) -> None:
        """Answer it."""

    def cancel(self) -> None:
        """Drop it: the server ends."""


class Turn(NamedTuple):
    """A task, the lane that it goes by, and the client that it comes from."""

    lane: str
    client: str
    task: Task

    def cancel(self) -> None:
        """Drop the task (ThreadedTaskDispatcher.shutdown)."""
        self.task.cancel()


class FairQueue:
    """Waiting tasks, first in first out for each client; the caller holds a lock.

    `lanes` says how many tasks of a lane may run at once, `most` how many of one client. A task that may not
    run yet does not count: the queue is empty (false) when there is nothing for a thread to do.
    """

    def __init__(self, lanes: Mapping[str, int], most: int) -> None:
        self._lanes = lanes
        self._most = most
        self._waiting: dict[str, OrderedDict[str, deque[Turn]]] = {lane: OrderedDict() for lane in lanes}
        self._running: defaultdict[str, int] = defaultdict(int)  # by lane
        self._of_client: defaultdict[str, int] = defaultdict(int)  # running ones; none is no entry

    def append(self, turn: Turn) -> None:
        self._waiting[turn.lane].setdefault(turn.client, deque()).append(turn)

    def __bool__(self) -> bool:
        return self._next() is not None

    def __len__(self) -> int:
        return int(bool(self))

    def popleft(self) -> Turn:
        """The next task, which runs from now on until `done`. Raises IndexError without one."""
        waiting = self._next()
        if waiting is None:
            raise IndexError("no task may run")
        lane, client = waiting
        clients = self._waiting[lane]
        turn = clients[client].popleft()
        if clients[client]:
            clients.move_to_end(client)
        else:
            del clients[client]
        self._running[lane] += 1
        self._of_client[client] += 1
        return turn

    def done(self, turn: Turn) -> bool:
        """Note the end of a task that `popleft` gave; whether others may have waited for it."""
        lane, client, _ = turn
        was_full = self._running[lane] == self._lanes[lane] or self._of_client[client] == self._most
        self._running[lane] -= 1
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]
        return was_full

    def waiting(self, lane: str) -> int:
        """Tasks of `lane` that wait, also those that may not run yet. Needs no lock: a moment's number."""
        return sum(map(len, list(self._waiting[lane].values())))

    def _next(self) -> tuple[str, str] | None:
        for lane, clients in self._waiting.items():
            if clients and self._running[lane] < self._lanes[lane]:
                for client in clients:
                    if self._of_client.get(client, 0) < self._most:
                        return lane, client
        return None

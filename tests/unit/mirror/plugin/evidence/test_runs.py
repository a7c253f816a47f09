"""Tests of runs, which collect evidence in turns."""

from collections import deque
from collections.abc import Callable, Iterator

import pytest

from mirror.plugin.connections.fair_queue import FairQueue
from mirror.plugin.connections.fair_queue import Turn as Place
from mirror.plugin.evidence import runs
from mirror.plugin.evidence.runs import Runs, Turn
from mirror.plugin.upstream.client import GatewayError


class Threads:
    """The fair queue of two threads, of which none works unless it is told to."""

    def __init__(self) -> None:
        self._queue = FairQueue({"reads": 2}, most=1)

    def add_task(self, task: Turn) -> None:
        self._queue.append(Place(task.lane, task.client, task))

    def work(self) -> bool:
        """Take one turn; whether there was one."""
        if not self._queue:
            return False
        place = self._queue.popleft()
        place.task.service()
        self._queue.done(place)
        return True


def batches(seen: list[str], name: str, count: int) -> Callable[[], bool]:
    left: Iterator[bool] = iter([True] * count)

    def batch() -> bool:
        seen.append(name)
        return next(left, False)

    return batch


def test_projects_of_one_client_and_clients_take_turns() -> None:
    """Neither thousands of files nor dozens of projects keep the next one waiting."""
    threads, seen = Threads(), list[str]()
    known = Runs(threads)
    for name in ("large", "second", "third"):
        known.join("a", name, batches(seen, name, 100))
    run = known.join("b", "small", batches(seen, "small", 1))
    for _ in range(4):
        threads.work()
    assert seen == ["large", "small", "second", "small"]
    assert run.began.is_set()
    threads.work()
    threads.work()
    assert seen[4:] == ["third", "large"]


def test_who_asks_for_what_waits_in_the_queue_of_another_client_has_an_own_place() -> None:
    """Else a client would hold up the projects that others ask for by asking for them first."""
    threads, seen = Threads(), list[str]()
    known = Runs(threads)
    for number in range(10):
        known.join("a", f"{number}", batches(seen, f"{number}", 1))
    run = known.join("b", "9", batches(seen, "9", 1))
    assert known.join("b", "9", batches(seen, "9", 1)) is run
    for _ in range(2):
        threads.work()
    assert seen == ["0", "9"]
    while threads.work():
        pass
    assert seen.count("9") == 2, "it goes on once for all who asked, and its last batch finds nothing"


def test_a_run_that_is_at_work_is_not_at_work_twice() -> None:
    """Two threads would collect the same files."""
    threads, waiting = Threads(), deque[int]()
    known = Runs(threads)

    def batch() -> bool:
        waiting.append(1)
        threads.work()  # the turn of the other client comes meanwhile
        return False

    known.join("a", "demo", batch)
    known.join("b", "demo", batch)
    threads.work()
    assert list(waiting) == [1]
    assert known.join("b", "demo", batch).began.is_set() is False, "what ended is begun anew"


def test_a_client_with_too_many_runs_is_refused_until_they_end() -> None:
    """The memory for what one client asks is limited; others are not concerned."""
    threads, seen = Threads(), list[str]()
    known = Runs(threads)
    for number in range(runs.MOST):
        known.join("a", f"{number}", batches(seen, "a", 0))
    with pytest.raises(GatewayError) as raised:
        known.join("a", "one more", batches(seen, "a", 0))
    assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "1"})
    known.join("b", "one more", batches(seen, "b", 0))
    while threads.work():
        pass
    known.join("a", "one more", batches(seen, "a", 0))


def test_a_run_that_fails_ends() -> None:
    """Whoever waits for it goes on, and who asks again begins it anew."""
    threads = Threads()
    known = Runs(threads)

    def batch() -> bool:
        raise ValueError

    run = known.join("a", "demo", batch)
    with pytest.raises(ValueError):  # noqa: PT011 (the queue logs it)
        threads.work()
    assert run.began.is_set()
    assert known.join("a", "demo", batch) is not run

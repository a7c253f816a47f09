"""Whose turn it is."""

from mirror.plugin.connections.fair_queue import FairQueue, Turn


class Named:
    """A task that does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def service(self) -> None: ...

    def cancel(self) -> None: ...


def taken(queue: FairQueue, most: int = 100) -> list[str]:
    """The names of the tasks that may run now, in their order."""
    names: list[str] = []
    while queue and len(names) < most:
        task = queue.popleft().task
        assert isinstance(task, Named)
        names.append(task.name)
    return names


def filled(lanes: dict[str, int], most: int, *tasks: str) -> FairQueue:
    """A queue of tasks such as "reads a 1": a lane, a client, a number."""
    queue = FairQueue(lanes, most)
    for name in tasks:
        lane, client, _ = name.split()
        queue.append(Turn(lane, client, Named(name)))
    return queue


def test_clients_take_turns() -> None:
    """A thousand requests of one client are one request ahead of those of another."""
    queue = filled({"r": 9}, 9, "r a 1", "r a 2", "r a 3", "r b 1", "r c 1", "r b 2")
    assert taken(queue) == ["r a 1", "r b 1", "r c 1", "r a 2", "r b 2", "r a 3"]


def test_no_client_has_all_threads() -> None:
    """What does not end must not be all that runs."""
    queue = filled({"r": 9}, 2, "r a 1", "r a 2", "r a 3", "r b 1")
    assert taken(queue) == ["r a 1", "r b 1", "r a 2"]
    queue.done(Turn("r", "b", Named("")))
    assert not queue
    queue.done(Turn("r", "a", Named("")))
    assert taken(queue) == ["r a 3"]


def test_a_full_lane_leaves_the_other_free() -> None:
    """Cached pages are served while logins wait for each other."""
    queue = filled({"r": 9, "o": 1}, 9, "o a 1", "o b 1", "r a 1", "r b 1")
    assert taken(queue) == ["r a 1", "r b 1", "o a 1"]
    queue.done(Turn("o", "a", Named("")))
    assert taken(queue) == ["o b 1"]

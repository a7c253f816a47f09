"""waitress's threads, with a fair queue: reads have a lane of their own, clients take turns."""

from typing import Any

from waitress.task import ThreadedTaskDispatcher

from mirror.plugin.connections.fair_queue import FairQueue, Key, Task

READS, OTHERS = "reads", "others"


class FairDispatcher(ThreadedTaskDispatcher):
    """Runs tasks on `threads` threads.

    Three quarters of the threads may wait for upstreams (UpstreamClient.slot), an eighth may be at work on
    what is no read of a page or file: logins, uploads, lists. So some are always free for what is cached,
    for one client too: an office behind one address has more threads than may wait for upstreams.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        lanes = {READS: threads, OTHERS: max(1, threads // 8)}
        self.queue: Any = _Turns(self, FairQueue(lanes, most=max(1, threads * 7 // 8)))
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()


class _Turns:
    """FairQueue as waitress uses its queue: always under the dispatcher's lock."""

    def __init__(self, dispatcher: FairDispatcher, queue: FairQueue) -> None:
        self._dispatcher = dispatcher
        self._queue = queue

    def append(self, task: Any) -> None:
        self._queue.append(Key(task.lane, task.client), task)

    def popleft(self) -> "_Turn":
        return _Turn(self, *self._queue.popleft())

    def done(self, key: Key) -> None:
        with self._dispatcher.lock:
            if self._queue.done(key):  # a lane and a client: two tasks, and this thread takes one only
                self._dispatcher.queue_cv.notify()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __len__(self) -> int:
        return int(bool(self._queue))


class _Turn:
    """A task that runs: its end is counted. The thread that ran it looks for the next one itself."""

    def __init__(self, turns: _Turns, key: Key, task: Task) -> None:
        self._turns = turns
        self._key = key
        self._task = task

    def service(self) -> None:
        try:
            self._task.service()
        finally:
            self._turns.done(self._key)

    def cancel(self) -> None:
        self._task.cancel()

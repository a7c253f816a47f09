"""Queue of changes to devpi's database: all that wait are written in one transaction.

Each transaction costs several fsyncs, a serial, and a round of devpi's own listeners; a client that
comes with a hundred questions would pay that a hundred times.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Change = Callable[[], None]
MOST = 32  # changes at once: reading one of them later loads all that was written with it


class WriteQueue:
    """The queue and its thread of one devpi-server process."""

    def __init__(self, keyfs: Any) -> None:
        self._keyfs = keyfs
        self._queue: queue.SimpleQueue[tuple[Change, Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="writes", daemon=True).start()

    def do(self, change: Change) -> None:
        """Call `change` in a write transaction; return when that is committed. Raises what it raised."""
        done: Future[None] = Future()
        self._queue.put((change, done))
        done.result()

    @property
    def waiting(self) -> int:
        """Changes that no transaction has begun to write."""
        return self._queue.qsize()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < MOST and not self._queue.empty():
                batch.append(self._queue.get())
            if not self._write(batch):
                for each in batch:  # only the one at fault shall fail
                    self._write([each])

    def _write(self, batch: list[tuple[Change, Future[None]]]) -> bool:
        """Write a batch in one transaction; False when a batch of several failed."""
        try:
            with self._keyfs.write_transaction():
                for change, _ in batch:
                    change()
        except BaseException as error:  # noqa: BLE001 (for the one who waits)
            if len(batch) > 1:
                return False
            batch[0][1].set_exception(error)
        else:
            for _, done in batch:
                done.set_result(None)
        return True

"""waitress's threads, with a fair queue: reads have a lane of their own, clients take turns."""

from typing import Any

from waitress.task import ThreadedTaskDispatcher

from mirror.plugin.connections.fair_queue import FairQueue, Turn

LANES = READS, OTHERS = "reads", "others"


class FairDispatcher(ThreadedTaskDispatcher):
    """Runs tasks on `threads` threads.

    Three quarters of the threads may wait for upstreams (UpstreamClient.slot), an eighth may be at work on
    what is no read of a page or file: logins, uploads, lists. So some are always free for what is cached,
    for one client too: an office behind one address has more threads than may wait for upstreams.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        lanes = {READS: threads, OTHERS: max(1, threads // 8)}
        self.queue: Any = FairQueue(lanes, most=max(1, threads * 7 // 8))
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        turn = Turn(task.lane, task.client, task)
        with self.lock:
            self.queue.append(turn)
            self.queue_cv.notify()

    def handler_thread(self, thread_no: int) -> None:
        """Run tasks, as waitress does; the end of one is counted when its thread asks for the next."""
        turn = None
        while True:
            with self.lock:
                if turn and self.queue.done(turn):  # this frees two tasks at most, and this thread takes one
                    self.queue_cv.notify()
                while not self.queue and self.stop_count == 0:
                    self.queue_cv.wait()
                if self.stop_count > 0:
                    self.stop_count -= 1
                    self.threads.discard(thread_no)
                    self.thread_exit_cv.notify()
                    return
                turn = self.queue.popleft()
            try:
                turn.task.service()
            except BaseException:
                self.logger.exception("Exception when servicing %r", turn.task)

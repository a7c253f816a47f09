"""Changes that wait are written together, and each learns its own fate."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mirror.plugin.write_queue import WriteQueue


class _KeyFs:
    """Transactions that can be held up, and that forget what was changed in one that fails."""

    def __init__(self) -> None:
        self.may_commit = threading.Event()
        self.kept: list[list[str]] = []
        self.changed: list[str] = []

    @contextmanager
    def write_transaction(self) -> Iterator[None]:
        self.changed = []
        yield
        self.may_commit.wait(60)
        self.kept.append(self.changed)

    def change(self, name: str) -> Callable[[], None]:
        return lambda: self.changed.append(name)


def _begin(keyfs: _KeyFs, pool: ThreadPoolExecutor, *changes: Callable[[], None]) -> list[Future[None]]:
    """The first is being written while the others wait, in this order."""
    writes = WriteQueue(keyfs)
    begun = threading.Event()

    def first() -> None:
        keyfs.change("first")()
        begun.set()

    waiting = [pool.submit(writes.do, first)]
    assert begun.wait(60)
    for change in changes:
        before = writes.waiting
        waiting.append(pool.submit(writes.do, change))
        while writes.waiting == before:
            pass
    keyfs.may_commit.set()
    return waiting


def test_all_that_wait_are_written_in_one_transaction() -> None:
    """A hundred pages cost two or three commits."""
    keyfs = _KeyFs()
    with ThreadPoolExecutor() as pool:
        for done in _begin(keyfs, pool, keyfs.change("second"), keyfs.change("third")):
            done.result(10)
    assert keyfs.kept == [["first"], ["second", "third"]]


def test_one_that_fails_fails_alone() -> None:
    """Nobody's page may depend on whose came at the same time."""

    def fail() -> None:
        raise ValueError("no")

    keyfs = _KeyFs()
    with ThreadPoolExecutor() as pool:
        first, bad, good = _begin(keyfs, pool, fail, keyfs.change("third"))
        first.result(10)
        good.result(10)
        with pytest.raises(ValueError, match="no"):
            bad.result(10)
    assert keyfs.kept == [["first"], ["third"]]


def test_nothing_is_called_done_before_it_is_committed() -> None:
    """What a client was told must survive a kill."""
    keyfs = _KeyFs()
    with ThreadPoolExecutor() as pool:
        done = pool.submit(WriteQueue(keyfs).do, keyfs.change("first"))
        with pytest.raises(TimeoutError):
            done.result(0.1)
        keyfs.may_commit.set()
        done.result(10)

"""Run devpi-server with locks that report the order in which threads take them, and read that report.

As a program: `python lock_order.py REPORT` and the arguments of devpi-server. The name of a lock is the line
that makes it, "mirror/plugin/read_cache.py:41"; besides there are PAGES, the file lock of pages, and WRITING,
devpi's write transaction. A lock that is only tried has no order, as nobody waits for it.
"""

import _thread
import fcntl
import json
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

PAGES, WRITING = "+pages/lock", "write transaction"
WAITS = "waits for "  # before the name of a condition's lock

Order = Mapping[tuple[str, str], str]  # held and wanted -> where that was seen first


def read(report: Path) -> Order:
    """The pairs of locks that some thread has wanted while it held the other."""
    lines = map(json.loads, report.read_text().splitlines())
    return {(line["held"], line["wanted"]): line["stack"] for line in lines}


def circle(order: Iterable[tuple[str, str]]) -> list[str]:
    """Locks of which each is taken before the next, and the last before the first; [] without any."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for held, wanted in order:
        sorter.add(wanted, held)
    try:
        sorter.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


class _Recorder:
    """Notes what threads hold; a pair of locks is written to the report once."""

    def __init__(self, report: Path) -> None:
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._local = threading.local()
        self._seen: set[tuple[str, str]] = set()

    @property
    def held(self) -> "list[_Named]":
        found: list[_Named] = self._local.__dict__.setdefault("held", [])
        return found

    def wants(self, wanted: "_Named", name: str = "") -> None:
        """Note that this thread may have to wait for a lock."""
        for each in self.held:
            pair = (each.name, name or wanted.name)
            if each is not wanted and pair not in self._seen:
                self._seen.add(pair)
                stack = "".join(traceback.format_stack()[:-2])
                line = json.dumps({"held": pair[0], "wanted": pair[1], "stack": stack})
                os.write(self._report, f"{line}\n".encode())

    def takes(self, lock: "_Named") -> None:
        lock.holder = self.held
        lock.holder.append(lock)

    def drops(self, lock: "_Named") -> None:
        """Note that a lock is free, whichever thread has taken it."""
        if lock.holder is not None and lock in lock.holder:
            lock.holder.remove(lock)


class _Named:
    """Something that one thread holds at a time."""

    holder: "list[_Named] | None" = None

    def __init__(self, name: str) -> None:
        self.name = name


_recorder: _Recorder  # set by main


class _Lock(_Named):
    """threading.Lock."""

    _make: Callable[[], Any] = staticmethod(_thread.allocate_lock)

    def __init__(self) -> None:
        super().__init__(_site())
        self._lock = self._make()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 (as threading's)
        again = self._is_again()
        if blocking and not again:
            _recorder.wants(self)
        taken: bool = self._lock.acquire(blocking, timeout)
        if taken and not again:
            _recorder.takes(self)
        return taken

    def release(self) -> None:
        _recorder.drops(self)  # before somebody else can take it
        self._lock.release()
        if self._is_again():
            _recorder.takes(self)

    def locked(self) -> bool:
        found: bool = self._lock.locked()
        return found

    def _is_again(self) -> bool:
        """Whether this thread holds it and may take it again."""
        return False

    def _at_fork_reinit(self) -> None:
        self._lock = self._make()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _ReentrantLock(_Lock):
    """threading.RLock, with what a condition needs of it."""

    _make = staticmethod(_thread.RLock)

    def _is_again(self) -> bool:
        return self._is_owned()

    def _is_owned(self) -> bool:
        owned: bool = self._lock._is_owned()
        return owned

    def _release_save(self) -> object:
        _recorder.drops(self)
        return self._lock._release_save()

    def _acquire_restore(self, state: object) -> None:
        _recorder.wants(self)
        self._lock._acquire_restore(state)
        _recorder.takes(self)


_CHECKOUT = Path(__file__).parents[2]
_LIBRARY = sysconfig.get_path("stdlib")


def _site() -> str:
    """The line that makes a lock; one in a function of the standard library after the line that calls it."""
    inner: Any = sys._getframe(2)
    outer = inner
    while outer.f_back and _is_standard(outer.f_code.co_filename):
        if outer.f_code.co_name == "<module>":  # then it does not matter who has imported it first
            outer = inner
            break
        outer = outer.f_back
    lines = (f"{_short(each.f_code.co_filename)}:{each.f_lineno}" for each in (outer, inner))
    return " ".join(dict.fromkeys(lines))


def _short(path: str) -> str:
    return path.rpartition("site-packages/")[2].removeprefix(f"{_CHECKOUT}/").removeprefix(f"{_LIBRARY}/")


def _is_standard(path: str) -> bool:
    return path.startswith(("<", _LIBRARY)) and "site-packages" not in path


def _record_flocks() -> None:
    """Let flock report who waits for one, until the descriptor is closed."""
    flock, close = fcntl.flock, os.close
    taken: dict[int, _Named] = {}

    def record(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            flock(descriptor, operation)
            return
        lock = _Named("/".join(Path(f"/proc/self/fd/{descriptor}").readlink().parts[-2:]))
        _recorder.wants(lock)
        flock(descriptor, operation)
        _recorder.takes(lock)
        taken[descriptor] = lock

    def drop(descriptor: int) -> None:
        if lock := taken.pop(descriptor, None):
            _recorder.drops(lock)
        close(descriptor)

    fcntl.flock, os.close = record, drop  # type: ignore[assignment]


def _record_transactions() -> None:
    """Let devpi's write transactions report themselves, and who waits for the queue of them."""
    from devpi_server import keyfs_sqlite

    from mirror.plugin import write_queue

    connect: Any
    close: Any
    connect, close = keyfs_sqlite.BaseStorage.get_connection, keyfs_sqlite.BaseConnection.close
    do = write_queue.WriteQueue.do

    def record(storage: Any, closing: bool = True, write: bool = False, timeout: int = 30) -> Any:  # noqa: ANN401, FBT001, FBT002
        lock = _Named(WRITING)
        if write:
            _recorder.wants(lock)
        found = connect(storage, closing, write, timeout)
        if write:
            _recorder.takes(lock)
            (found.thing if closing else found).lock = lock
        return found

    def drop(connection: keyfs_sqlite.BaseConnection) -> None:
        if lock := connection.__dict__.pop("lock", None):
            _recorder.drops(lock)
        close(connection)

    def wait(queue: write_queue.WriteQueue, change: Callable[[], None]) -> None:
        _recorder.wants(_Named(WRITING))
        do(queue, change)

    keyfs_sqlite.BaseStorage.get_connection = record  # type: ignore[method-assign]
    keyfs_sqlite.BaseConnection.close = drop  # type: ignore[method-assign]
    write_queue.WriteQueue.do = wait  # type: ignore[assignment, method-assign]


def _record_waits() -> None:
    """Let conditions (and so events, futures, queues) report what a thread holds while it waits."""
    wait = threading.Condition.wait

    def record(condition: Any, timeout: float | None = None) -> bool:  # noqa: ANN401
        lock = condition._lock
        _recorder.wants(lock, f"{WAITS}{lock.name}")
        return wait(condition, timeout)

    threading.Condition.wait = record  # type: ignore[assignment, method-assign]


def main() -> None:
    """Become devpi-server; what is imported before it must have no locks that matter."""
    global _recorder  # noqa: PLW0603
    _recorder = _Recorder(Path(sys.argv.pop(1)))
    threading.Lock, threading.RLock = _Lock, _ReentrantLock  # type: ignore[assignment]
    _record_flocks()
    _record_waits()
    import mirror  # noqa: F401 (as `mirror serve` does)

    _record_transactions()
    from devpi_server.main import main as serve

    sys.exit(serve())


if __name__ == "__main__":
    main()

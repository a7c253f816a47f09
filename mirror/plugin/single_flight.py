"""Single flight: one call per key, however many ask for its result at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, overload

F = TypeVar("F", bound=Future[Any])


class SingleFlight(Generic[F]):
    """Futures of the calls in progress, by key. Thread-safe.

    A key is free before its future is done: whoever asks again after a failure gets a new call.
    """

    def __init__(self, execute: Callable[..., object]) -> None:
        """`execute(function, key, *arguments)` calls `function` with the rest, in this or another thread."""
        self._execute = execute
        self._in_progress: dict[str, F] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._in_progress)

    @overload
    def join(self, key: str, new: Callable[[], F], call: Callable[[F], object]) -> F: ...
    @overload
    def join(self, key: str, new: Callable[[], F | None], call: Callable[[F], object]) -> F | None: ...
    def join(self, key: str, new: Callable[[], F | None], call: Callable[[F], object]) -> F | None:
        """The future in progress for `key`; without one `new()`, which gets the result of `call(future)`.

        None, and no call, when `new()` is None. No other thread begins or ends a call while `new` runs.
        """
        with self._lock:
            if key in self._in_progress:
                return self._in_progress[key]
            future = new()
            if future is None:
                return None
            self._in_progress[key] = future
        try:
            self._execute(self._run, key, future, call)
        except BaseException as error:
            self._free(key)  # no thread could be started
            future.set_exception(error)
            raise
        return future

    def _run(self, key: str, future: F, call: Callable[[F], object]) -> None:
        try:
            result = call(future)
        except BaseException as error:  # noqa: BLE001 (for all who wait)
            self._free(key)
            future.set_exception(error)
        else:
            self._free(key)
            future.set_result(result)

    def _free(self, key: str) -> None:
        with self._lock:
            del self._in_progress[key]

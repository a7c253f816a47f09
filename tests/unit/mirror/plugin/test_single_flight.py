"""One call per key, however many want its result."""

import operator
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mirror.plugin.single_flight import SingleFlight


def in_this_thread() -> SingleFlight[Future[str]]:
    """Calls are done when `join` returns."""
    return SingleFlight(operator.call)


def test_who_asks_while_a_call_is_in_progress_gets_its_result() -> None:
    """This is what it is for."""
    may_end = threading.Event()
    calls: list[str] = []

    def call(_: Future[str]) -> str:
        calls.append("one")
        assert may_end.wait(60)
        return "done"

    with ThreadPoolExecutor() as pool:
        flight: SingleFlight[Future[str]] = SingleFlight(pool.submit)
        futures = [flight.join("key", Future, call) for _ in range(5)]
        other = flight.join("other", Future, lambda _: "other")
        assert other.result(10) == "other"
        may_end.set()
        assert [future.result(10) for future in futures] == ["done"] * 5
    assert (len(calls), len(flight)) == (1, 0)


def test_results_are_not_kept() -> None:
    """That is for caches."""
    flight, results = in_this_thread(), iter(["first", "second"])
    assert [flight.join("key", Future, lambda _: next(results)).result() for _ in range(2)] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failure_reaches_all_who_wait_and_nobody_who_comes_then(error: BaseException) -> None:
    """The key is free before anybody can know that the call has failed."""
    flight = in_this_thread()
    seen: list[int] = []

    def new() -> Future[str]:
        future: Future[str] = Future()
        future.add_done_callback(lambda _: seen.append(len(flight)))
        return future

    def fail(_: Future[str]) -> None:
        raise error

    with pytest.raises(type(error)):
        flight.join("key", new, fail).result()
    assert seen == [0]
    assert flight.join("key", new, lambda _: "fine").result() == "fine"


def test_nothing_is_called_when_there_is_nothing_to_do() -> None:
    """What was wanted may have appeared since the caller looked for it."""

    def nothing() -> Future[str] | None:
        return None

    def call(_: Future[str]) -> str:
        pytest.fail("called")

    assert in_this_thread().join("key", nothing, call) is None


def test_a_call_that_cannot_be_started_does_not_block_its_key() -> None:
    """A machine without threads left may have some a second later."""
    can_start = False

    def execute(function: object, *arguments: object) -> None:
        if not can_start:
            raise RuntimeError("can't start new thread")
        operator.call(function, *arguments)  # type: ignore[arg-type]

    flight: SingleFlight[Future[str]] = SingleFlight(execute)
    with pytest.raises(RuntimeError, match="can't start"):
        flight.join("key", Future, lambda _: "never")
    can_start = True
    assert flight.join("key", Future, lambda _: "fine").result() == "fine"

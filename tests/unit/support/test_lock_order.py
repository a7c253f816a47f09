"""tests.support.lock_order: what threads hold, and which orders may end in two that wait for each other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support import lock_order


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([("a", "b"), ("b", "c"), ("a", "c")], 0),
        ([("a", "b"), ("b", "a")], 2),
        ([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")], 3),
        ([("a", "a")], 1),
    ],
)
def test_a_circle_of_locks_is_found(order: list[tuple[str, str]], found: int) -> None:
    """Also of three, and of two locks that one line makes."""
    assert len(set(lock_order.circle(order))) == found


def test_a_lock_belongs_to_the_thread_that_took_it_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if somebody takes it at the moment in which another lets go of it."""
    recorder = lock_order._Recorder(tmp_path / "report.jsonl")
    monkeypatch.setattr(lock_order, "_recorder", recorder, raising=False)
    lock = lock_order._Lock()

    def take() -> list[str]:
        lock.acquire()
        return [each.name for each in recorder.held]

    with ThreadPoolExecutor(1) as other:

        def let_other_take() -> None:
            inner.release()
            assert len(other.submit(take).result()) == 1

        inner = lock._lock
        lock._lock = Mock(wraps=inner, release=let_other_take)
        with lock:
            pass
        assert recorder.held == []
        assert other.submit(lambda: len(recorder.held)).result() == 1

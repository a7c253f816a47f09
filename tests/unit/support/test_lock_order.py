"""tests.support.lock_order: which orders of locks may end in two threads that wait for each other."""

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

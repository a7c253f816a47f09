"""The promises of release.host.control.channel."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from release.host.control.channel import Channel


@contextmanager
def conversation(*lines: bytes) -> Iterator[tuple[Channel, int]]:
    """An inbox that gets `lines`, and the descriptor to write more to."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"".join(lines))
        inbox = Channel(reading)
        assert inbox.request() is not None
        yield inbox, writing
    finally:
        os.close(writing)


def test_a_gate_is_passed_when_it_is_allowed_even_before_it_is_reached() -> None:
    """Lines that came with the request must not be lost; empty ones mean nothing."""
    with conversation(b'{"command": "deploy"}\n\n{"go": "lock"}\n', b'{"go": "st') as (inbox, writing):
        assert inbox.request() == {"command": "deploy"}
        assert not inbox.waiting()
        assert inbox.order("lock") == {"go": "lock"}
        os.write(writing, b'art", "number": 7}\n')
        assert inbox.order("start") == {"go": "start", "number": 7}
        assert not inbox.stop.is_set()


def test_a_revert_opens_no_gate_and_says_why() -> None:
    """What failed on another host is what people want to read."""
    with conversation(b"{}\n", b'{"revert": "web2: no answer"}\n') as (inbox, _):
        assert not inbox.order("verdict")
        assert (inbox.stop.is_set(), inbox.reason) == (True, "web2: no answer")


def test_an_end_closes_all_gates() -> None:
    """Whoever deployed was killed; until then there is time to get ready."""
    reading, writing = os.pipe()
    inbox = Channel(reading)
    assert inbox.waiting()
    os.close(writing)
    assert inbox.request() is None
    assert not inbox.waiting()
    assert not inbox.order("lock")


def test_silence_is_an_end_unless_somebody_says_that_he_is_there() -> None:
    """A cut cable is noticed by TCP after hours."""
    with conversation(b'{"silence": 4.0}\n') as (inbox, writing):
        for _ in range(10):
            time.sleep(0.5)
            os.write(writing, b"\n")
        assert not inbox.stop.is_set()
        assert inbox.stop.wait(60)

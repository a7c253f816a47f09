"""The promises of release.host.control.session."""

import sys
import threading
import time

import pytest

from release.host.control.session import StoppedError
from tests.support.release_folders import FakeController, a_session


def test_a_program_is_run_to_its_end() -> None:
    """Both streams and the status are kept for messages."""
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = a_session().run([sys.executable, "-c", script])
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_a_stop_ends_a_program_and_its_children_at_once() -> None:
    """An installer may run for minutes, and it starts compilers."""
    controller = FakeController()
    here = a_session(controller)
    threading.Timer(0.2, controller.stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        here.run(["/bin/sh", "-c", "sleep 30 & wait"])
    assert time.monotonic() - started < 20


def test_a_pause_ends_at_once_when_asked_to_stop() -> None:
    """Nobody waits for a sleep."""
    controller = FakeController()
    here = a_session(controller)
    here.pause(0)
    controller.stop.set()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        here.pause(30)
    assert time.monotonic() - started < 20

"""The promises of release.host.processes.health that need no server."""

from pathlib import Path

import pytest

from release.host.control.session import StoppedError
from release.host.disk.manifest import Health
from release.host.processes import health

NOWHERE = Path("/nonexistent/probe.sock")


def test_a_process_that_keeps_ending_is_given_up_early() -> None:
    """Nobody should wait 30 s for an ImportError."""
    pids = iter(range(100))
    slow = Health("/healthz", "localhost", timeout=60, interval=0.01)
    with pytest.raises(health.UnhealthyError, match="keeps ending") as error:
        health.wait(NOWHERE, slow, lambda: [next(pids)], lambda _: None)
    assert "GET /healthz was FileNotFoundError" in str(error.value)


def test_the_wait_ends_at_the_deadline() -> None:
    """Every wait has one, and says what it waited for."""
    short = Health("/up", "localhost", timeout=0.05, interval=0.01)
    with pytest.raises(health.UnhealthyError, match=r"not healthy within 0\.05 s; the answer to GET /up was"):
        health.wait(NOWHERE, short, lambda: [1], lambda _: None)


def test_the_wait_can_be_stopped() -> None:
    """Ctrl-C while a release starts."""

    def pause(_seconds: float) -> None:
        raise StoppedError("Stopped.", "Again.")

    with pytest.raises(StoppedError):
        health.wait(NOWHERE, Health("/", "localhost", 60, 0.01), list, pause)

"""The promises of release.host.processes.oneoffs; tests/integration/release/test_run.py runs them."""

import fcntl
import os
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.processes import oneoffs
from tests.support.release_folders import FakeSupervisor, a_layout, a_session, add_release


def test_a_release_that_the_application_locks_for_ever_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One-offs cannot start then: an error about circusd's log would lead nowhere."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    monkeypatch.setattr(oneoffs, "_start", lambda *_: None)
    ready = os.open(layout.release(1) / releases.READY, os.O_RDONLY)
    fcntl.flock(ready, fcntl.LOCK_EX)
    try:
        with pytest.raises(PackhorseError, match="another process has locked its READY"):
            oneoffs.start(layout, FakeSupervisor(layout), a_session(), lambda: 1)
    finally:
        os.close(ready)

"""The promises of release.host.runtime.sweep."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from release.host.runtime import sweep


def started(releases: Path, number: int) -> "subprocess.Popen[bytes]":
    """A process of release `number`, as a group of its own."""
    environment = {**os.environ, "PACKHORSE_FOLDER": f"{releases}/{number}"}
    script = "import time; print(flush=True); time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout
    child.stdout.readline()
    return child


def test_only_processes_of_releases_that_should_not_run_end(tmp_path: Path) -> None:
    """In a process of its own, as circusd starts it."""
    with started(tmp_path, 1) as old, started(tmp_path, 2) as new, started(tmp_path / "x", 1) as other:
        subprocess.run(sweep.command(tmp_path, [], [2]), check=True)
        assert old.wait(60) == -signal.SIGKILL
        assert (new.poll(), other.poll()) == (None, None)
        subprocess.run(sweep.command(tmp_path, [new.pid], [2]), check=True)
        assert new.wait(60) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()

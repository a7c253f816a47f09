"""The promises of release.host.processes.usage."""

import os
import subprocess
import sys

from release.host.processes import usage
from release.host.processes.usage import Stat


def stat(parent: int, session: int) -> Stat:
    return Stat(parent, session, 0.0, 0.0, 0)


def test_a_process_may_call_itself_anything() -> None:
    """Its name stands in parentheses, in the middle of what is counted."""
    line = b"7 (a) R 1 2 (x) S 3 4 5 0 -1 4194560 9 9 9 9 200 100 9 9 20 0 1 0 12345 999 42 0"
    found = usage.parsed(line)
    assert (found.parent, found.session, found.cpu, found.started) == (3, 5, 3.0, 123.45)
    assert found.memory == 42 * os.sysconf("SC_PAGE_SIZE")


def test_all_that_a_process_has_started_counts() -> None:
    """Children, theirs, and orphans of its session; no other process of the application."""
    table = {
        10: stat(1, 10),
        11: stat(10, 10),
        12: stat(11, 12),
        13: stat(1, 10),
        20: stat(1, 20),
        21: stat(20, 20),
    }
    assert usage.tree(table, 10) == {10, 11, 12, 13}
    assert usage.tree(table, 20) == {20, 21}


def test_the_kernel_is_understood() -> None:
    """A real process, with a child."""
    script = "import subprocess, sys; subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as process:
        try:
            while len(usage.tree(usage.table(), process.pid)) < 2:
                pass
            found = usage.table()[process.pid]
        finally:
            os.killpg(process.pid, 9)
    assert (found.parent, found.session) == (os.getpid(), process.pid)
    assert found.memory > 2**20
    assert usage.boot_time() + found.started > 1_700_000_000

"""The promises of release.host.processes.process_table."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from release.host.disk.layout import Layout
from release.host.processes import process_table
from release.host.processes.process_table import AppProcess
from tests.support.release_folders import a_layout
from tests.support.servers import wait_until

LAYOUT = Layout("shop", Path("/srv/apps"), Path("/run/apps"))


def test_the_mark_in_the_environment_names_the_release() -> None:
    """A process belongs to its release whoever its parent is: circusd may have been killed."""
    assert process_table._match(LAYOUT, 7, ["x"], "/srv/apps/shop/releases/43") == AppProcess(7, 43)
    assert process_table._match(LAYOUT, 7, ["x"], "/srv/apps/shop2/releases/43") is None
    assert process_table._match(LAYOUT, 7, ["x"], "") is None


def test_circusd_and_a_launcher_are_known_by_their_arguments() -> None:
    """The first has no release, the second no environment yet; another application's are not ours."""
    circusd = ["python", "-Im", "circus.circusd", "/srv/apps/shop/circus.ini"]
    launch = ["python", "-IS", "/srv/apps/shop/releases/43/launch.py", "web", "9"]
    supervisor = ["python", "-I", "/srv/apps/shop/supervisor.py", "/srv/apps/shop/circus.ini"]
    assert process_table._match(LAYOUT, 7, circusd, "") == AppProcess(7, None)
    assert process_table._match(LAYOUT, 7, supervisor, "") == AppProcess(7, None)
    assert process_table._match(LAYOUT, 7, launch, "") == AppProcess(7, 43)
    other = Layout("other", LAYOUT.root, LAYOUT.run)
    assert process_table._match(other, 7, circusd, "") is None
    assert process_table._match(other, 7, launch, "") is None


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    """An orphan may hang; the port that it holds is needed."""
    layout = a_layout(tmp_path)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    environment = {**os.environ, process_table.MARK: str(layout.release(3))}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        assert process_table.find(layout) == [AppProcess(child.pid, 3)]
        started = time.monotonic()
        process_table.end([child.pid, 2**22 + 1], 0.3)
        assert time.monotonic() - started < 30
        assert child.wait(60) == -signal.SIGKILL


def test_a_process_that_left_its_parent_is_a_stray() -> None:
    """circusd does not know of it any more; other users' processes are none of its business."""
    table = {1: (0, 0), 10: (1, 7), 11: (10, 7), 12: (11, 7), 20: (1, 8)}
    assert process_table.strays_in(table, 10) == set()
    assert process_table.strays_in({**table, 13: (1, 7)}, 10) == {13}


def test_a_process_whose_parent_does_not_care_has_ended_all_the_same() -> None:
    """The first process of a container may never ask how its children ended: they stay, as zombies."""
    careless = ["sh", "-c", "sleep 60 & echo $!; exec sleep 60"]
    with subprocess.Popen(careless, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        # Until it is no shell any more, it does ask.
        wait_until("the parent to become sleep", lambda: psutil.Process(parent.pid).name() == "sleep")
        started = time.monotonic()
        process_table.end([child.pid], 60)
        assert time.monotonic() - started < 30
        assert child.status() == psutil.STATUS_ZOMBIE
        parent.kill()

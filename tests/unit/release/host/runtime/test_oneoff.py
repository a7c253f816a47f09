"""The promises of release.host.runtime.oneoff; tests/integration/release/test_run.py runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from release.host.disk import releases
from release.host.runtime import oneoff, sweep
from tests.support.release_folders import a_layout
from tests.support.servers import wait_until


def ready(tmp_path: Path) -> Path:
    """The folder of a release that is complete."""
    folder = a_layout(tmp_path).release(7)
    folder.mkdir(parents=True)
    (folder / "READY").touch()
    return folder


def test_a_release_in_use_is_not_removed(tmp_path: Path) -> None:
    """Several one-offs hold it, each until its end."""
    folder, layout = ready(tmp_path), a_layout(tmp_path)
    one, other = oneoff.hold(folder), oneoff.hold(folder)
    assert one
    assert other
    os.close(one)
    with releases.unused(layout, 7) as unused:
        assert not unused
    os.close(other)
    with releases.unused(layout, 7) as unused:
        assert unused


def test_who_comes_while_it_is_removed_gets_none(tmp_path: Path) -> None:
    """Before the folder has gone, and after: the agent then takes the current release."""
    folder = ready(tmp_path)
    with releases.unused(a_layout(tmp_path), 7) as unused:
        assert unused
        assert oneoff.hold(folder) is None
        folder.rename(folder.with_name("8"))
    assert oneoff.hold(folder) is None


def test_orphans_of_the_command_are_ended() -> None:
    """Also in sessions of their own: nobody would know of them. Runs apart: pytest has children, too."""
    program = (
        "import ctypes, subprocess\n"
        "from release.host.runtime import oneoff\n"
        "ctypes.CDLL(None).prctl(36, 1)\n"
        "subprocess.run(['sh', '-c', 'setsid sleep 1049 & sleep 1049 & :'])\n"
        "oneoff.end_children()\n"
        "import os; print(oneoff.children(os.getpid()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_sweeping_spares_a_one_off_as_long_as_its_oneoff_runs(tmp_path: Path) -> None:
    """A deploy must not end it, and must end what it has left behind when it was killed."""
    script = tmp_path / "oneoff.py"
    script.write_text("import time; time.sleep(1000)")
    folder = tmp_path / "releases/7"
    with subprocess.Popen([sys.executable, str(script)]) as watching:
        marks = {"PACKHORSE_FOLDER": str(folder), oneoff.MARK: str(watching.pid)}
        with subprocess.Popen(["/bin/sleep", "1051"], env=marks) as command:
            environ = Path(f"/proc/{command.pid}/environ")
            wait_until("its environment", lambda: b"PACKHORSE_FOLDER" in environ.read_bytes())
            sweep.main(folder.parent, [], [])
            assert command.poll() is None
            watching.kill()
            watching.wait()
            sweep.main(folder.parent, [], [])
            assert command.wait(60) == -signal.SIGKILL


def test_both_programs_mean_the_same_variable() -> None:
    """Neither can import the other: they run as scripts."""
    assert oneoff.MARK == sweep.ONE_OFF

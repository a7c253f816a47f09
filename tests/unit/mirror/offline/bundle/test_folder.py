"""A folder is replaced in one step: killed at any moment, it is the old one or the new one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.offline.bundle import folder
from packhorse.errors import PackhorseError

# Replaces a folder again and again, killed one file operation later each time, until it comes to the end.
_KILLED = """
import os, signal, sys
from pathlib import Path
from mirror.offline.bundle import folder

exchanges, target = sys.argv[1] == "True", Path(sys.argv[2])
if not exchanges:
    folder._exchanged = lambda *_: False

def replace(stop):
    left = [stop]
    def step(event, arguments):
        if event.startswith(("os.", "open")) and str(target.parent) in str(arguments):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(step)
    with folder.replacing(target) as scratch:
        (scratch / "which").write_text("new")
        (scratch / "more").write_text("new")

for stop in range(1, 100):
    with folder.replacing(target) as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "which").write_text("old")
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    child = os.fork()
    if child == 0:
        replace(stop)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not exchanges:
        folder.recover(target)
    which = (target / "which").read_text()
    names = sorted(path.name for path in target.iterdir())
    assert names == (["which"] if which == "old" else ["more", "which"])
    print(which, status)
    if status == 0:
        break
"""


@pytest.mark.parametrize("exchanges", [True, False])
def test_killed_at_any_step_it_is_whole_and_the_next_run_clears_the_rest(
    tmp_path: Path, *, exchanges: bool
) -> None:
    """Without an exchange (exFAT) it may be aside for a moment, from where the next run brings it back."""
    command = [sys.executable, "-c", _KILLED, str(exchanges), str(tmp_path / "bundle")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = done.stdout.split("\n")[:-1]
    assert set(seen) == {"old 9", "new 9", "new 0"}
    assert seen == [*sorted(seen[:-1], reverse=True), "new 0"]


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    """A web server reads it, whoever made it."""
    before = os.umask(0o077)
    try:
        with folder.replacing(tmp_path / "bundle") as scratch:
            (scratch / "inner").mkdir()
            (scratch / "inner/file").write_text("x")
    finally:
        os.umask(before)
    found = {path.name: oct(path.stat().st_mode)[-3:] for path in (tmp_path).rglob("*")}
    assert found == {"bundle": "755", "inner": "755", "file": "644"}


def test_an_error_inside_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    """A file cannot be had; Ctrl-C."""
    target = tmp_path / "bundle"
    target.mkdir()
    with pytest.raises(KeyboardInterrupt), folder.replacing(target):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_two_do_not_fill_one_folder(tmp_path: Path) -> None:
    """Otherwise each would clear what the other has begun."""
    with (
        folder.replacing(tmp_path / "bundle"),
        pytest.raises(PackhorseError, match="Another process"),
        folder.replacing(tmp_path / "bundle"),
    ):
        pytest.fail("it was let in")


def test_a_link_in_the_place_of_the_new_folder_is_not_followed(tmp_path: Path) -> None:
    """In a shared folder, anybody may have put one there."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("x")
    (tmp_path / ".bundle.new").symlink_to(tmp_path / "precious")
    with pytest.raises(PackhorseError), folder.replacing(tmp_path / "bundle"):
        pytest.fail("it was let in")
    assert (tmp_path / "precious/file").exists()


def test_a_full_disk_is_two_lines(tmp_path: Path) -> None:
    """What happened, what to do now."""
    with pytest.raises(PackhorseError) as raised, folder.replacing(tmp_path / "bundle"):
        raise OSError(28, "No space left on device", "x")
    assert raised.value.message == "x: No space left on device"
    assert not (tmp_path / "bundle").exists()

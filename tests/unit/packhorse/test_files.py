"""packhorse.files: a file is there whole or not at all, and a secret is never readable by others."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from packhorse import files


def test_home_is_the_environment_variable_or_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command must look at the same place."""
    monkeypatch.setenv("PACKHORSE_HOME", "relative")
    assert files.home() == Path.cwd() / "relative"
    monkeypatch.setenv("PACKHORSE_HOME", "")
    assert files.home() == Path.home() / ".packhorse"
    monkeypatch.delenv("PACKHORSE_HOME")
    assert files.home() == Path.home() / ".packhorse"


def test_write_whole_replaces_the_content(tmp_path: Path) -> None:
    """The plain case."""
    path = tmp_path / "state.json"
    files.write_whole(path, b"old")
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_write_whole_gives_exactly_the_mode_asked_for(tmp_path: Path, mask: int, mode: int) -> None:
    """A lax umask must not open a secret, a strict one must not hide what nginx reads."""
    path = tmp_path / "file"
    path.write_text("older, with a mode of its own")
    path.chmod(0o666)
    before = os.umask(mask)
    try:
        files.write_whole(path, b"x", mode)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_a_secret_is_closed_before_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and chmod another user could open the file too, and read what comes."""
    modes = []

    def look(descriptor: int, mode: int) -> None:
        modes.append((os.fstat(descriptor).st_mode & 0o777, os.fstat(descriptor).st_size))
        chmod(descriptor, mode)

    chmod = os.fchmod
    monkeypatch.setattr(os, "fchmod", look)
    files.write_whole(tmp_path / "secret", b"x", 0o600)
    assert modes == [(0o600, 0)]


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    """The journal and the passwords are replaced this way."""
    path = tmp_path / "state.json"
    files.write_whole(path, b"old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # what a full disk looks like to write(2)
    try:
        with pytest.raises(OSError, match="too large"):
            files.write_whole(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, heard)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    """The rename is the only step that others can see."""
    path = tmp_path / "state"
    old, new = b"o" * 300_000, b"n" * 300_000
    code = (
        "import sys; from pathlib import Path; from packhorse import files; print(flush=True)\n"
        "while True:\n for letter in (b'n', b'o'): files.write_whole(Path(sys.argv[1]), letter * 300_000)"
    )
    files.write_whole(path, old)
    for moment in range(8):
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.003 * moment)
            writer.kill()
        assert path.read_bytes() in {old, new}


def test_the_last_lines_of_a_log_are_read_from_its_end(tmp_path: Path) -> None:
    """Of a log of gigabytes only the end is read; one that is not there has no lines."""
    log = tmp_path / "log"
    assert files.last_lines(log) == ""
    log.write_bytes(b"x" * 100_000 + b"\nlast but one\nlast \xff\n")
    assert files.last_lines(log, 2) == "last but one\nlast \N{REPLACEMENT CHARACTER}"


def test_a_lock_is_refused_while_another_opening_of_the_file_holds_it(tmp_path: Path) -> None:
    """A command, a server and a download tell by it whether the one before them is still at work."""
    path = tmp_path / "lock"
    with path.open("w") as one, path.open() as other, path.open() as third:
        assert files.try_flock(one.fileno())
        assert not files.try_flock(other.fileno())
        assert not files.try_flock(other.fileno(), fcntl.LOCK_SH)
        one.close()
        assert files.try_flock(other.fileno(), fcntl.LOCK_SH)
        assert files.try_flock(third.fileno(), fcntl.LOCK_SH)


def test_a_log_that_has_grown_too_long_begins_anew(tmp_path: Path) -> None:
    """Of circusd and of a mirror in the background, which run for years: twice the bound is kept."""
    log = tmp_path / "x.log"
    for text in (b"first", b"second", b"third"):
        with files.open_log(log, most=4) as file:
            file.write(text)
    assert (log.read_bytes(), (tmp_path / "x.log.1").read_bytes()) == (b"third", b"second")
    with files.open_log(log, most=10) as file:
        file.write(b"fourth")
    assert log.read_bytes() == b"thirdfourth"

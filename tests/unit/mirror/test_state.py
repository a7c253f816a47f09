"""mirror.state: one process holds the mirror, and its passwords are kept safe."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mirror import state
from mirror.state import Credentials, Folder, Serving
from packhorse.errors import PackhorseError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty home with the mirror's folder in it."""
    made = Folder(tmp_path)
    made.root.mkdir()
    return made


def test_a_lock_has_one_holder_until_its_last_descriptor_is_closed(folder: Folder) -> None:
    """Two servers on one set of data would destroy it."""
    first = state.try_lock(folder.lock)
    assert first is not None
    assert state.held(folder.lock)
    assert state.try_lock(folder.lock) is None
    copy = os.dup(first)  # what a child inherits
    os.close(first)
    assert state.held(folder.lock)
    os.close(copy)
    assert not state.held(folder.lock)


def test_a_lock_dies_with_its_holder(folder: Folder) -> None:
    """A kill -9 must not need a repair by hand."""
    code = (
        "import sys, time; from pathlib import Path; from mirror import state\n"
        "kept = state.try_lock(Path(sys.argv[1])); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder.lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert state.held(folder.lock)
        holder.send_signal(signal.SIGKILL)
    assert not state.held(folder.lock)


def test_waiting_for_a_lock_ends_when_it_is_free(folder: Folder) -> None:
    """Whoever only looked holds it for a moment; that must not be taken for a server."""
    code = (
        "import sys, time; from pathlib import Path; from mirror import state\n"
        "kept = state.try_lock(Path(sys.argv[1])); print(flush=True); time.sleep(0.3)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder.lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert state.try_lock(folder.lock, seconds=0.1) is None
        lock = state.try_lock(folder.lock, seconds=30)
        assert lock is not None
        os.close(lock)


def test_looking_at_a_lock_creates_nothing(tmp_path: Path) -> None:
    """`mirror status` in a fresh home must leave it as it is."""
    assert not state.held(tmp_path / "mirror" / "lock")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_where_we_may_not_write_is_named(tmp_path: Path) -> None:
    """The usual cause is a wrong PACKHORSE_HOME."""
    (tmp_path / "mirror").write_text("a file where the folder should be")
    with pytest.raises(PackhorseError, match=f"{tmp_path}/mirror") as caught:
        state.try_lock(Folder(tmp_path).lock)
    assert "PACKHORSE_HOME" in caught.value.hint


def test_an_address_counts_only_while_its_process_holds_the_lock(folder: Folder) -> None:
    """After a crash the file is still there, and its process id may be somebody else's."""
    state.write_serving(folder, Serving("http://127.0.0.1:1", 42))
    assert state.read_serving(folder) is None
    lock = state.try_lock(folder.lock)
    assert lock is not None
    assert state.read_serving(folder) == Serving("http://127.0.0.1:1", 42)
    folder.serving.unlink()
    assert state.read_serving(folder) is None
    os.close(lock)


def test_credentials_are_read_by_their_owner_alone(folder: Folder) -> None:
    """They open the company's index."""
    kept = Credentials("http://127.0.0.1:3141", {"root": "r", "company": "c"})
    assert state.read_credentials(folder) is None
    state.write_credentials(folder, kept)
    assert state.read_credentials(folder) == kept
    assert folder.credentials.stat().st_mode & 0o777 == 0o600


def test_a_moved_mirror_keeps_its_passwords(folder: Folder) -> None:
    """`mirror serve --port` changes the address in the file, nothing else."""
    state.set_url(folder, "http://127.0.0.1:1")
    assert state.read_credentials(folder) is None
    state.write_credentials(folder, Credentials("http://127.0.0.1:1", {"root": "r"}))
    state.set_url(folder, "http://127.0.0.1:2")
    assert state.read_credentials(folder) == Credentials("http://127.0.0.1:2", {"root": "r"})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"url": "x"}', '{"url": "x", "users": 3}', "\udcff"]
)
def test_a_damaged_file_is_named_and_not_overwritten(folder: Folder, content: str) -> None:
    """Passwords that somebody could still save must not be lost to a stray comma."""
    data = content.encode("utf-8", "surrogateescape")
    folder.credentials.write_bytes(data)
    with pytest.raises(PackhorseError, match=f"{folder.credentials} is damaged"):
        state.read_credentials(folder)
    assert folder.credentials.read_bytes() == data


@pytest.mark.needs_root
def test_a_lock_that_root_makes_is_the_folders_owners(folder: Folder) -> None:
    """`sudo mirror shrink` must not lock out the mirror's own user; no link leads root elsewhere."""
    os.chown(folder.root, 65534, 65533)
    lock = state.try_lock(folder.root / ".shrink-lock")
    assert lock is not None
    found = os.fstat(lock)
    os.close(lock)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65533, 0o600)
    foreign = folder.root / "foreign"
    foreign.touch()
    lock = state.try_lock(foreign)
    assert lock is not None
    os.close(lock)
    assert foreign.stat().st_uid == 0, "what was there is as it was"
    (folder.root / "link").symlink_to("foreign")
    with pytest.raises(PackhorseError):
        state.try_lock(folder.root / "link")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "[1]",
        '{"url": 5, "users": {"root": "x"}}',
        '{"url": "http://127.0.0.1:1", "users": {"root": [1]}}',
        '{"url": "http://127.0.0.1:1", "users": ["ab"]}',
    ],
    ids=["deep", "list", "url", "password", "users"],
)
def test_credentials_of_another_form_are_damaged(folder: Folder, content: str) -> None:
    """Two lines that say so instead of a traceback, from whatever backup they came."""
    folder.credentials.write_text(content)
    with pytest.raises(PackhorseError, match=r"credentials.json is damaged"):
        state.read_credentials(folder)


def test_credentials_that_are_a_folder_are_damaged(folder: Folder) -> None:
    """A disk gave it another name."""
    folder.credentials.mkdir()
    with pytest.raises(PackhorseError, match=r"credentials.json is damaged"):
        state.read_credentials(folder)

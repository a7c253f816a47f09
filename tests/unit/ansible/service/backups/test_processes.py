"""The promises of packhorse_service.backups.processes."""

import pwd
import socket
import tempfile
import time
from pathlib import Path

import pytest
from packhorse_service.backups import processes, redis
from packhorse_service.backups.processes import BackupError

pytestmark = pytest.mark.needs_root  # it starts programs as somebody


@pytest.fixture(autouse=True)
def ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of backups is on hosts alone."""
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: pwd.getpwuid(0))


def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of a database is waited for with its application locked out."""
    monkeypatch.setattr(processes, "LONGEST", 0.1)
    begun = time.monotonic()
    with pytest.raises(BackupError, match=r"sleep did not end within 0 s\."):
        processes.run(["sleep", "30"])
    with pytest.raises(BackupError, match=r"sleep did not end within 0 s\."):
        processes.pump(["sleep", "30"], bytes.strip)
    assert time.monotonic() - begun < 25


def test_what_a_program_says_is_in_the_error() -> None:
    """Its last lines."""
    assert processes.run(["cat"], b"given") == "given"
    with pytest.raises(BackupError, match=r"sh failed: no; more"):
        processes.run(["sh", "-c", "echo no >&2; echo more >&2; exit 3"])


def test_a_server_that_never_listens_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Redis that hangs before it makes its socket."""
    monkeypatch.setattr(redis, "LONGEST_START", 0.1)
    monkeypatch.setattr(processes, "LONGEST", 5)
    with (
        processes.start(["sleep", "30"]) as process,
        tempfile.TemporaryFile() as said,
        socket.socket(socket.AF_UNIX) as link,
    ):
        with pytest.raises(BackupError, match="does not listen after"):
            redis._connect(link, str(tmp_path / "socket"), process, said)
        process.kill()

"""Messages that wait on the disk."""

import errno
import os
from pathlib import Path

import pytest

from mirror.plugin.webhooks.spool import DamagedError, FullError, Spool


def test_messages_outlive_a_restart_in_their_order_with_their_identities(tmp_path: Path) -> None:
    """Who got a message whose answer was lost drops the second by its identity."""
    now = iter((9.0, 10.0, 11.0))
    first = Spool(tmp_path / "hook", 9, clock=lambda: next(now))
    for text in ("a", "b", "c"):
        first.add(text)
    before = first.first()
    assert before
    first.count_attempt(before)
    (tmp_path / "hook/.half.json.1234").write_text("{")
    again = Spool(tmp_path / "hook", 9)
    found = []
    while message := again.first():
        found.append((message.body, message.attempts))
        again.remove_first()
    assert found == [("a", 1), ("b", 0), ("c", 0)]
    assert list((tmp_path / "hook").iterdir()) == []


def test_a_server_that_never_answers_fills_no_disk(tmp_path: Path) -> None:
    """The oldest stay: they are what happened first."""
    waiting = Spool(tmp_path, 2)
    waiting.add("a")
    waiting.add("b")
    with pytest.raises(FullError):
        waiting.add("c")
    assert len(waiting) == 2


@pytest.mark.parametrize("left", ["", "{", "[]", '{"body": 1}'])
def test_what_cannot_be_read_is_said_and_holds_up_no_other(tmp_path: Path, left: str) -> None:
    """A damaged file; whoever drops it counts it."""
    waiting = Spool(tmp_path, 9)
    waiting.add("a")
    waiting.add("b")
    damaged, _ = sorted(tmp_path.iterdir())
    damaged.write_text(left)
    with pytest.raises(DamagedError):
        waiting.first()
    waiting.remove_first()
    first = waiting.first()
    assert first
    assert first.body == "b"


def test_others_cannot_read_it(tmp_path: Path) -> None:
    """Names of projects that nobody else knows."""
    Spool(tmp_path / "hook", 9).add("a")
    (message,) = (tmp_path / "hook").iterdir()
    assert [path.stat().st_mode & 0o777 for path in (message, message.parent)] == [0o600, 0o700]


def test_a_message_is_on_the_disk_when_it_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, a file that was renamed without fsync may be empty."""
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 (a text)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    Spool(tmp_path, 9).add("a")
    assert [Path(path).parent == tmp_path for path in synced] == [True, False]  # the file, then its folder


def test_attempts_count_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the server that fails is asked without an end, and without longer pauses."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    waiting = Spool(tmp_path, 9)
    waiting.add("a")
    monkeypatch.setattr(Spool, "_write", full)
    attempts = []
    while (message := waiting.first()) and message.attempts < 3:
        waiting.count_attempt(message)
        attempts.append(message.attempts)
    assert attempts == [0, 1, 2]
    waiting.remove_first()
    assert waiting.first() is None

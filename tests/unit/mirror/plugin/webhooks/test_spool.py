"""Messages that wait on the disk."""

from pathlib import Path

import pytest

from mirror.plugin.webhooks import spool
from mirror.plugin.webhooks.spool import FullError, Spool


def test_messages_outlive_a_restart_in_their_order_with_their_identities(tmp_path: Path) -> None:
    """Who got a message whose answer was lost drops the second by its identity."""
    now = iter((9.0, 10.0, 11.0))
    first = Spool(tmp_path / "hook", clock=lambda: next(now))
    for text in ("a", "b", "c"):
        first.add(text)
    before = first.first()
    assert before
    first.count_attempt(before)
    (tmp_path / "hook/half.json.tmp").write_text("{")
    again = Spool(tmp_path / "hook")
    found = []
    while message := again.first():
        found.append((message.body, message.attempts))
        again.remove_first()
    assert found == [("a", 1), ("b", 0), ("c", 0)]
    assert list((tmp_path / "hook").iterdir()) == []


def test_a_server_that_never_answers_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest stay: they are what happened first."""
    monkeypatch.setattr(spool, "MOST", 2)
    waiting = Spool(tmp_path)
    waiting.add("a")
    waiting.add("b")
    with pytest.raises(FullError):
        waiting.add("c")
    assert len(waiting) == 2


def test_what_cannot_be_read_is_dropped_and_others_cannot_read_it(tmp_path: Path) -> None:
    """A damaged file must not hold up the others."""
    waiting = Spool(tmp_path / "hook")
    waiting.add("a")
    waiting.add("b")
    damaged, whole = sorted((tmp_path / "hook").iterdir())
    assert whole.stat().st_mode & 0o777 == 0o600
    assert whole.parent.stat().st_mode & 0o777 == 0o700
    damaged.write_text("{")
    first = waiting.first()
    assert first
    assert first.body == "b"

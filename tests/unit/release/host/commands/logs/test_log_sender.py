"""The promises of release.host.commands.logs.log_sender, towards a receiver that is played."""

import json
import threading
from pathlib import Path

import pytest

from release.host.commands.logs import drain, log_sender
from release.host.commands.logs.log_sender import Sender, SenderStoppedError
from release.host.disk import log_drain
from release.host.disk.layout import Layout
from release.host.formats import log_message
from tests.support.release_folders import a_layout


class Played(Sender):
    """A sender whose receiver keeps what it gets; after `enough` messages the program is stopped."""

    def __init__(self, layout: Layout, *, enough: int = 10_000, largest: int = 10**9) -> None:
        super().__init__(layout, log_message.JOURNALD, Path("/nowhere"), threading.Event())
        self.enough, self.largest = enough, largest
        self.got: list[str] = []

    def _deliver(self, message: bytes) -> bool:
        text = message.partition(b"MESSAGE\n")[2][8:-1]
        if len(text) > self.largest:
            return False
        if len(self.got) == self.enough:
            raise SenderStoppedError
        self.got.append(text.decode())
        return True

    def _pause(self, seconds: float) -> None:
        if seconds:  # nothing is left to send
            raise SenderStoppedError


def sent(layout: Layout, *, enough: int = 10_000, largest: int = 10**9) -> list[str]:
    sender = Played(layout, enough=enough, largest=largest)
    sender.run()
    return sender.got


def at(text: str) -> str:
    return f"2026-11-26T05:00:00.000000Z 7 {text}\n"


def append(path: Path, *texts: str) -> None:
    with path.open("a") as file:
        file.writelines(at(text) for text in texts)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An application that has logged something before its lines were to be sent."""
    made = a_layout(tmp_path)
    append(made.log("web.1"), "before")
    drain._begin_here(made)
    return made


def test_what_is_logged_from_now_on_is_sent_once(layout: Layout) -> None:
    """Over restarts of the program, rotations and new releases."""
    append(layout.log("web.1"), "one", "two")
    assert sent(layout) == ["one", "two"]
    assert sent(layout) == []
    append(layout.log("web.1"), "three")
    layout.log("web.1").rename(layout.logs / "web.1.log.1")
    append(layout.log("web.1"), "four")
    append(layout.log("web.2"), "five")
    append(layout.log("run.2.x1"), "six")
    append(layout.log("drain"), "not itself")
    append(layout.log("forward"), "of no release")
    assert sorted(sent(layout)) == ["five", "four", "six", "three"]
    assert sent(layout) == []


def test_a_stop_in_the_middle_of_a_log_goes_on_there(layout: Layout) -> None:
    """Many lines are read at once; those that were not sent come again."""
    append(layout.log("web.1"), *(str(number) for number in range(100)))
    first = sent(layout, enough=30)
    assert first + sent(layout) == [str(number) for number in range(100)]


def test_a_line_that_is_too_large_for_a_datagram_is_cut(layout: Layout) -> None:
    """The host says so; nothing of it is lost."""
    append(layout.log("web.1"), "x" * 10_000 + "y")
    parts = sent(layout, largest=4000)
    assert "".join(parts) == "x" * 10_000 + "y"
    assert all(parts)


def test_what_was_not_taken_in_time_is_counted(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that was away for days must not fill the disk."""
    monkeypatch.setattr(log_sender, "HELD", 100)
    append(layout.log("web.1"), *("z" * 20 for _ in range(10)))
    note, *lines = sent(layout)
    assert note.endswith(" bytes were skipped: they were not taken in time.")
    assert int(note.split()[0]) == (10 - len(lines)) * len(at("z" * 20))
    assert 0 < len(lines) < 10


@pytest.mark.parametrize(
    "content", ["", "no json", "[]", '{"web.1": "x"}', '{"web.1": [1, -2, 3]}', "[" * 9999]
)
def test_a_file_of_positions_that_is_none_sends_all_again(layout: Layout, content: str) -> None:
    """The application may write there what it likes; twice is better than never."""
    log_drain.positions_file(layout).write_text(content)
    append(layout.log("web.1"), "one")
    assert sent(layout)[-1] == "one"
    assert json.loads(log_drain.positions_file(layout).read_text())["web.1"]

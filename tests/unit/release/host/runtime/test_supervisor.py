"""The promises of release.host.runtime.supervisor; the integration tests run it with a real circus."""

import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from tornado import ioloop

from release.host.formats import log_line
from release.host.runtime import supervisor
from release.host.runtime.supervisor import LineStream, LogFile

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (\d+\+?) (.*)\n", re.DOTALL)


class Loop:
    """Tornado's loop, whose time the test moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, _delay: float, callback: Callable[[], None]) -> object:
        self.due.append(callback)
        return callback

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due, self.due = self.due, []
        for callback in due:
            callback()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(ioloop.IOLoop, "current", lambda: made)
    return made


def written(path: Path) -> list[tuple[bytes, bytes]]:
    """Process and text of every line."""
    found = [LINE.fullmatch(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert all(found)
    return [(match[1], match[2]) for match in found if match]


@pytest.mark.usefixtures("loop")
def test_lines_of_two_processes_are_never_mixed(tmp_path: Path) -> None:
    """They share a log, and circus passes on pieces as they come."""
    stream = LineStream(str(tmp_path / "web.1.log"))
    for pid, data in [(7, b"one\ntw"), (8, b"other "), (7, b"o\n\nthr"), (8, b"words\n"), (7, b"ee\n")]:
        stream({"pid": pid, "data": data})
    assert written(tmp_path / "web.1.log") == [
        (b"7", b"one"),
        (b"7", b"two"),
        (b"7", b""),
        (b"8", b"other words"),
        (b"7", b"three"),
    ]


@pytest.mark.usefixtures("loop")
def test_bytes_stay_as_they_are(tmp_path: Path) -> None:
    """A log is evidence: broken UTF-8, NUL, carriage returns and escapes are shown by who reads it."""
    odd = b"\xff\xfe\x00\r \x1b[31m \xc3\xa9 \x85 \x0b\x0c"
    stream = LineStream(str(tmp_path / "web.1.log"))
    stream({"pid": 7, "data": odd + b"\n"})
    assert (tmp_path / "web.1.log").read_bytes().endswith(b" 7 " + odd + b"\n")


@pytest.mark.usefixtures("loop")
def test_a_line_that_never_ends_is_written_in_pieces(tmp_path: Path) -> None:
    """Memory is bounded, and the pieces are the line."""
    stream, log = LineStream(str(tmp_path / "web.1.log")), tmp_path / "web.1.log"
    for _ in range(40):
        stream({"pid": 7, "data": b"x" * 10_000})
    assert sum(map(len, [text for text, _ in stream.begun.values()])) <= supervisor.LONGEST
    stream({"pid": 7, "data": b"\n"})
    assert b"".join(text for _, text in written(log)) == b"x" * 400_000
    assert [pid for pid, _ in written(log)] == [b"7+"] * 6 + [b"7"]


def test_a_line_without_an_end_is_written_after_a_silence(tmp_path: Path, loop: Loop) -> None:
    """A process that asks something, or hangs, has said so."""
    stream, log = LineStream(str(tmp_path / "web.1.log")), tmp_path / "web.1.log"
    stream({"pid": 7, "data": b"Waiting for the database"})
    loop.pass_time(0.5)
    assert not log.exists()
    loop.pass_time(1)
    assert written(log) == [(b"7+", b"Waiting for the database")]
    stream({"pid": 7, "data": b" no more\n"})
    assert written(log)[1:] == [(b"7", b" no more")]
    assert not loop.due or not stream.begun


@pytest.mark.usefixtures("loop")
def test_the_last_words_of_a_process_are_a_line(tmp_path: Path) -> None:
    """It crashed in the middle of one."""
    stream = LineStream(str(tmp_path / "web.1.log"))
    stream({"pid": 7, "data": b"Segmentation fau"})
    stream({"pid": 8, "data": b"still here"})
    stream.end(7)
    stream.end(7)
    assert written(tmp_path / "web.1.log") == [(b"7", b"Segmentation fau")]
    stream.close()
    assert written(tmp_path / "web.1.log")[1:] == [(b"8", b"still here")]


def test_a_full_log_is_moved_away_between_two_lines(tmp_path: Path) -> None:
    """Three parts stay; a reader finds the rest of what it reads by the inode."""
    log = LogFile(tmp_path / "web.1.log", 100, 3)
    for number in range(60):
        log.write(b"line %2d\n" % number)
    parts = [tmp_path / f"web.1.log{end}" for end in (".3", ".2", ".1", "")]
    assert sorted(tmp_path.iterdir()) == sorted(parts)
    assert all(part.stat().st_size <= 100 and part.read_bytes().endswith(b"\n") for part in parts)
    kept = b"".join(part.read_bytes() for part in parts).split(b"\n")[:-1]
    assert kept == [b"line %2d" % number for number in range(60 - len(kept), 60)]
    assert len(kept) > 36


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_folder_in_the_place_of_a_part_lets_no_log_grow(tmp_path: Path, number: int) -> None:
    """What cannot be moved away is emptied: the disk belongs to others, too."""
    (tmp_path / f"web.1.log.{number}" / "x").mkdir(parents=True)
    log = LogFile(tmp_path / "web.1.log", 100, 3)
    for _ in range(200):
        log.write(b"line\n")
    assert all(path.stat().st_size <= 100 for path in tmp_path.glob("web.1.log*") if path.is_file())
    assert log.path.read_bytes().endswith(b"line\n")


def test_a_full_disk_costs_lines_and_says_how_many(tmp_path: Path) -> None:
    """circusd goes on, with whole lines; RLIMIT_FSIZE makes the kernel write half a line, as a full disk."""
    log, path = LogFile(tmp_path / "web.1.log", 10_000, 3), tmp_path / "web.1.log"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log.write(b"first\n")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (18, before[1]))
        log.write(b"second\nthird\n")
        assert path.read_bytes() == b"first\nsecond\n"
        log.write(b"fourth\n")
        log.write(b"fifth\n")
        assert path.read_bytes() == b"first\nsecond\n"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write(b"sixth\n")
    note, sixth = path.read_bytes().splitlines()[2:]
    assert log_line.text_of(note.decode()) == "19 bytes of output were lost here: File too large"
    assert sixth == b"sixth"
    log.write(b"seventh\n")
    assert path.read_bytes().endswith(b"sixth\nseventh\n")


@pytest.mark.parametrize("kind", ["link", "pipe", "gone", "other"])
def test_what_the_application_puts_in_the_place_of_its_log_is_not_followed(tmp_path: Path, kind: str) -> None:
    """A link could lead to any file, and a pipe that nobody reads would stop circusd."""
    secret, path = tmp_path / "secret", tmp_path / "web.1.log"
    secret.write_bytes(b"kept\n")
    log = LogFile(path, 10_000, 3)
    log.write(b"first\n")
    path.unlink()
    match kind:
        case "link":
            path.symlink_to(secret)
        case "pipe":
            os.mkfifo(path)
        case "other":
            path.write_bytes(b"half a line")
    log.write(b"second\n")
    assert path.read_bytes() == (b"half a line\nsecond\n" if kind == "other" else b"second\n")
    assert secret.read_bytes() == b"kept\n"


def test_a_folder_in_its_place_costs_lines_until_it_is_gone(tmp_path: Path) -> None:
    """Whatever is there, circusd goes on."""
    path = tmp_path / "web.1.log"
    path.mkdir()
    log = LogFile(path, 10_000, 3)
    log.write(b"first\n")
    path.rmdir()
    log.write(b"second\n")
    assert b"6 bytes of output were lost here" in path.read_bytes()
    assert path.read_bytes().endswith(b"second\n")


def test_two_watchers_may_have_one_log(tmp_path: Path) -> None:
    """While one replaces the other, both write; whichever finds it full moves it, and the other follows."""
    logs = [LogFile(tmp_path / "web.1.log", 100, 3) for _ in range(2)]
    for number in range(40):
        logs[number % 2].write(b"line %2d\n" % number)
    parts = [tmp_path / f"web.1.log{end}" for end in (".3", ".2", ".1", "")]
    assert all(part.stat().st_size <= 100 for part in parts)
    kept = b"".join(part.read_bytes() for part in parts).split(b"\n")[:-1]
    assert kept == [b"line %2d" % number for number in range(40 - len(kept), 40)]

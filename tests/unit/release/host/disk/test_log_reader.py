"""The promises of release.host.disk.log_reader."""

import os
from pathlib import Path

import pytest

from release.host.disk import log_reader
from release.host.disk.log_reader import LogReader


def rotate(log: Path) -> None:
    """As the supervisor does it."""
    for number in range(log_reader.PARTS, 0, -1):
        before = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if before.exists():
            before.replace(log.with_name(f"{log.name}.{number}"))


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def read(reader: LogReader) -> list[bytes]:
    return list(reader.new_lines())


def test_of_new_lines_without_end_the_newest_are_read(tmp_path: Path) -> None:
    """A release phase that makes its log 8 TB would hold the deploy for hours."""
    log = tmp_path / "release.1.log"
    log.touch()
    reader = LogReader(log)
    with log.open("r+b") as file:
        file.truncate(8 * 2**40)
    append(log, "\nend\n")
    assert read(reader)[-1] == b"end"


def test_whole_lines_are_read_over_rotations(tmp_path: Path) -> None:
    """Each once, in order; what has no end yet is read when it has one."""
    log = tmp_path / "web.1.log"
    reader = LogReader(log)
    assert read(reader) == []
    append(log, "one\ntw")
    assert read(reader) == [b"one"]
    append(log, "o\n")
    rotate(log)
    append(log, "three\n")
    rotate(log)
    append(log, "four\n")
    assert read(reader) == [b"two", b"three", b"four"]
    assert read(reader) == []
    assert not reader.gap


def test_parts_that_are_held_open_are_read_after_they_were_removed(tmp_path: Path) -> None:
    """Its writer may be faster than who reads it."""
    log = tmp_path / "web.1.log"
    reader = LogReader(log)
    for number in range(20):
        append(log, f"{number}\n")
        reader.refresh()
        rotate(log)
    assert read(reader) == [b"%d" % number for number in range(20)]
    assert not reader.gap


def test_parts_that_are_gone_before_they_were_seen_are_a_gap(tmp_path: Path) -> None:
    """Nobody knows how much is missing; but that something is."""
    log = tmp_path / "web.1.log"
    append(log, "first\n")
    reader = LogReader(log)
    for number in range(9):
        rotate(log)
        append(log, f"{number}\n")
    assert read(reader) == [b"first", b"5", b"6", b"7", b"8"]
    assert reader.gap


def test_too_much_is_skipped_at_the_beginning_of_a_line_and_counted(tmp_path: Path) -> None:
    """Of the oldest part first."""
    log = tmp_path / "web.1.log"
    append(log, "0123456789\n" * 10)
    rotate(log)
    append(log, "abcdefghi\n" * 10)
    reader = LogReader(log)
    assert reader.skip(1000) == 0
    assert reader.skip(105) == 110
    assert reader.skip(95) == 10
    assert read(reader) == [b"abcdefghi"] * 9


@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_a_reader_goes_on_where_another_one_was(tmp_path: Path, rotations: int) -> None:
    """The connection was lost in the meantime."""
    log = tmp_path / "web.1.log"
    append(log, "one\ntwo\n")
    before = LogReader(log)
    assert read(before) == [b"one", b"two"]
    position = before.position()
    before.close()
    for number in range(rotations):
        append(log, f"{number}\n")
        rotate(log)
    append(log, "last\n")
    after = LogReader(log, at=position)
    assert read(after) == [*(b"%d" % number for number in range(rotations)), b"last"]
    assert not after.gap


def test_a_position_in_a_file_that_is_gone_is_a_gap(tmp_path: Path) -> None:
    """Its inode may be that of a new file: file systems use it again at once."""
    log = tmp_path / "web.1.log"
    append(log, "old\n")
    before = LogReader(log)
    assert read(before) == [b"old"]
    position = before.position()
    assert position
    log.write_text("new and longer\n")  # the same inode
    after = LogReader(log, at=position)
    assert read(after) == [b"new and longer"]
    assert after.gap


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, ["5"]), (3, ["3", "4", "5"]), (9, list("12345"))]
)
def test_the_last_lines_reach_back_over_a_rotation(tmp_path: Path, count: int, expected: list[str]) -> None:
    """Just rotated, the log itself is nearly empty."""
    log = tmp_path / "web.1.log"
    append(log, "1\n2\n3\n")
    rotate(log)
    append(log, "4\n5\nhalf")
    reader = LogReader(log)
    reader.go_back(count)
    assert [line.decode() for line in read(reader)] == expected


def test_the_last_lines_of_a_large_log_are_found(tmp_path: Path) -> None:
    """It is read backwards in chunks."""
    log = tmp_path / "web.1.log"
    lines = [f"{number} {'x' * 5000}" for number in range(200)]
    log.write_text("".join(f"{line}\n" for line in lines))
    reader = LogReader(log)
    reader.go_back(120)
    assert [line.decode() for line in read(reader)] == lines[-120:]


def test_a_line_that_is_too_long_is_cut(tmp_path: Path) -> None:
    """Its writer is not trusted with our memory."""
    log = tmp_path / "web.1.log"
    log.write_bytes(b"x" * (log_reader.MOST + 10) + b"\nnext\n")
    assert [len(line) for line in read(LogReader(log))] == [log_reader.MOST, 10, 4]


def test_a_log_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    """`> web.1.log`, by somebody who wanted room."""
    log = tmp_path / "web.1.log"
    append(log, "one\ntwo\n")
    reader = LogReader(log)
    read(reader)
    log.write_text("new\n")
    assert read(reader) == [b"new"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_counts_as_empty(tmp_path: Path, kind: str) -> None:
    """The application may put there what it likes; a pipe would never end."""
    log, secret = tmp_path / "web.1.log", tmp_path / "secret"
    secret.write_text("secret\n")
    match kind:
        case "link":
            log.symlink_to(secret)
        case "pipe":
            os.mkfifo(log)
        case "folder":
            log.mkdir()
    append(log.with_name("web.1.log.1"), "before\n")
    reader = LogReader(log)
    assert read(reader) == [b"before"]
    assert reader.unread() == 0

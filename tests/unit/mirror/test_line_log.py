"""Whole lines, whatever happens."""

import errno
import os
from pathlib import Path

import pytest

from mirror.line_log import LineLog


def test_a_new_part_begins_before_one_is_too_large_and_the_oldest_goes(tmp_path: Path) -> None:
    """The disk that it takes is bounded."""
    log = LineLog(tmp_path / "audit/a.jsonl", largest=20, keep=2)
    for number in range(8):
        log.append(f"line {number:03}\n".encode())
    parts = {path.name: path.read_text() for path in (tmp_path / "audit").iterdir()}
    assert parts == {
        "a.jsonl": "line 006\nline 007\n",
        "a.jsonl.1": "line 004\nline 005\n",
        "a.jsonl.2": "line 002\nline 003\n",
    }


def test_without_earlier_parts_the_file_begins_anew(tmp_path: Path) -> None:
    """keep = 0."""
    log = LineLog(tmp_path / "a.jsonl", largest=20, keep=0)
    for number in range(3):
        log.append(f"line {number:03}\n".encode())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.jsonl", "line 002\n")]


def test_others_cannot_read_it(tmp_path: Path) -> None:
    """Who works when, from where."""
    LineLog(tmp_path / "audit/a.jsonl", 100, 1).append(b"x\n")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "audit", tmp_path / "audit/a.jsonl")]
    assert modes == [0o700, 0o600]


def test_a_disk_that_takes_a_part_of_a_line_keeps_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """write(2) says how much it took, and fails only at the next call."""
    log = LineLog(tmp_path / "a.jsonl", 100, 1)
    log.append(b"first\n")
    write, room = os.write, [4]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        log.append(b"second\n")
    assert (tmp_path / "a.jsonl").read_text() == "first\n"
    room[0] = 100
    log.append(b"third\n")
    assert (tmp_path / "a.jsonl").read_text() == "first\nthird\n"


@pytest.mark.parametrize(
    ("left", "kept"),
    [("one\ntw", "one\n"), ("on", ""), ("", ""), ("one\n", "one\n"), ("one\n" + "t" * 200_000, "one\n")],
)
def test_what_a_power_cut_has_left_of_a_line_is_cut_off(tmp_path: Path, left: str, kept: str) -> None:
    """The next line would be part of it."""
    (tmp_path / "a.jsonl").write_text(left)
    LineLog(tmp_path / "a.jsonl", 100, 1).repair()
    assert (tmp_path / "a.jsonl").read_text() == kept


def test_a_file_that_no_single_read_can_take_keeps_its_lines(tmp_path: Path) -> None:
    """read(2) takes at most 2 GiB, and max_size may be more; what it had not seen would be cut off."""
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.seek(2**31 + 2**16)  # a hole: it takes no room
        file.write(b"\nlast\ntor")
    size = path.stat().st_size
    LineLog(path, 100, 1).repair()
    assert path.stat().st_size == size - len("tor")


def test_without_room_for_a_new_part_no_descriptor_of_another_thread_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that is closed twice may be a client's connection the second time."""
    path = tmp_path / "a.jsonl"
    log = LineLog(path, 10, 1)
    log.append(b"line 1\n")
    opened = os.open

    def full(where: Path, flags: int, mode: int) -> int:
        if not where.exists():
            raise OSError(errno.ENOSPC, "full")
        return opened(where, flags, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="full"):  # not EBADF
        log.append(b"line 2\n")
    monkeypatch.undo()
    log.append(b"line 3\n")
    assert [each.read_text() for each in (tmp_path / "a.jsonl.1", path)] == ["line 1\n", "line 3\n"]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """It would append to a file of somebody else's choice."""
    (tmp_path / "target").write_text("")
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        LineLog(tmp_path / "a.jsonl", 100, 1).append(b"x\n")

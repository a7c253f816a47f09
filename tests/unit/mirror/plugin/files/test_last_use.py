"""Last use of files, as the disk tells it."""

import os
import time
from pathlib import Path

from mirror.plugin.files import last_use


def test_a_download_counts_as_a_use_and_a_read_after_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    os.utime(path, (50, 100))
    assert last_use.of(path.stat()) == 100
    os.utime(path, (150, 100))
    assert last_use.of(path.stat()) == 150


def test_a_use_is_noted_once_a_day_and_changes_nothing_else(tmp_path: Path) -> None:
    path, before = tmp_path / "file", time.time()
    path.write_bytes(b"x")
    os.utime(path, (before - 1000, 100))
    last_use.note(path)
    assert path.stat().st_atime == before - 1000
    os.utime(path, (before - 2 * last_use.DAY, 100))
    last_use.note(path)
    assert (last_use.of(path.stat()) >= int(before), path.stat().st_mtime) == (True, 100)
    last_use.note(tmp_path / "gone")


def test_a_probe_finds_out_whether_reads_are_noted(tmp_path: Path) -> None:
    assert last_use.is_kept(tmp_path) in {True, False}
    assert list(tmp_path.iterdir()) == []
    assert last_use.is_kept(tmp_path / "not-yet-there")

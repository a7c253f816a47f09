"""When files were first seen: noted once, kept, exported, and nothing when it is torn."""

import errno
from pathlib import Path

import pytest

from mirror.plugin.upstream.file_records.first_seen import FirstSeen

INDEX = "root/pypi"


def test_what_is_new_is_noted_and_what_is_known_keeps_its_time(tmp_path: Path) -> None:
    """Also when a file was gone for a while."""
    seen = FirstSeen(tmp_path)
    seen.note(INDEX, "demo", ["demo-1.zip", "demo-2.zip"], 1000.9)
    seen.note(INDEX, "demo", ["demo-3.zip", "demo-2.zip"], 1000.9)  # the clock may have been set back
    seen.note(INDEX, "demo", ["demo-1.zip", "demo-3.zip"], 3000)
    record = seen.read(INDEX, "demo")
    assert record
    assert record.since == 1000.9
    found = [record.at(f"demo-{number}.zip") for number in (1, 2, 3, 4)]
    assert found == [1000.9, 1000.9, 1000.901, None]
    assert seen.read(INDEX, "other") is None


def test_a_record_that_is_torn_is_none(tmp_path: Path) -> None:
    """A power cut; the next page is the first one again."""
    seen = FirstSeen(tmp_path)
    seen.note(INDEX, "demo", ["demo-1.zip"], 1000)
    (path,) = tmp_path.glob("*/*")
    path.write_bytes(path.read_bytes()[:-3])
    assert seen.read(INDEX, "demo") is None


def test_records_move_to_another_server_and_go_with_their_index(tmp_path: Path) -> None:
    """devpi-export; and an index of the same name may have another upstream."""
    old, new = FirstSeen(tmp_path / "old"), FirstSeen(tmp_path / "new")
    old.note(INDEX, "demo", ["demo-1.zip"], 1000)
    old.note(INDEX, "demo", ["demo-2.zip"], 2000)
    (tmp_path / "old" / "root%2Fpypi" / ".demo.1234").touch()  # of a write that was killed
    new.restore(old.records())
    assert (
        new.records()
        == old.records()
        == {INDEX: {"demo": {"1000.000": ["demo-1.zip"], "2000.000": ["demo-2.zip"]}}}
    )
    new.remove_index(INDEX)
    assert new.records() == {}


def test_a_full_disk_gets_no_files_of_failed_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page that is new would leave one, for ever."""

    def full(path: Path, _data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="full"):
        FirstSeen(tmp_path).note(INDEX, "demo", ["demo-1.zip"], 1000)
    assert list(tmp_path.glob("*/*")) == []

"""The promises of packhorse_service.backups.store: backups are whole, checksummed, and the last ones stay."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from packhorse_service.backups import copies, store
from packhorse_service.backups.processes import BackupError
from packhorse_service.backups.store import Backup, Store

NAME = "shop_production_db"
HEADER = Backup("20260101T000000Z", NAME, "postgresql", "15.4", 0, "0" * 64, "timer", {"public.t": 2})


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(NAME, tmp_path / "backups")


def made(kept: Store, data: bytes = b"rows", day: int = 1, why: str = "timer") -> Backup:
    """A backup of that day."""

    def fill(write: Callable[[bytes], object]) -> Backup:
        write(data)
        return replace(HEADER, name=f"202601{day:02}T000000Z", why=why)

    with kept.locked():
        return kept.write(fill)


def packed(data: bytes = b"rows", **changes: object) -> io.BytesIO:
    """A backup as it travels."""
    known = {**asdict(HEADER), "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return io.BytesIO(json.dumps({**known, **changes}).encode() + b"\n" + data)


def test_a_backup_is_for_root_alone_and_says_what_it_is(kept: Store) -> None:
    """It has everything that the application keeps."""
    backup = made(kept)
    assert kept.all() == [backup]
    assert (backup.size, backup.sha256) == (4, hashlib.sha256(b"rows").hexdigest())
    modes = {path.name: path.stat().st_mode & 0o777 for path in kept.folder.iterdir() if path.name != ".lock"}
    assert set(modes.values()) == {0o600}
    assert kept.folder.stat().st_mode & 0o777 == 0o700


def test_a_full_disk_leaves_what_was_there_and_nothing_else(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a backup would be taken for one, some day."""
    first = made(kept)
    before = sorted(path.name for path in kept.folder.iterdir())
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 100, 100, 100, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(BackupError, match="No space left"):
        made(kept, day=2)
    assert kept.all() == [first]
    assert sorted(path.name for path in kept.folder.iterdir()) == before


def test_what_a_killed_run_has_left_is_no_backup_and_goes(kept: Store) -> None:
    """The description is written last."""
    first = made(kept)
    (kept.folder / ".new-1").write_bytes(b"half")
    (kept.folder / "20260102T000000Z.dump").write_bytes(b"whole, and nobody has said so")
    assert kept.all() == [first]
    with kept.locked():
        pass
    assert not list(kept.folder.glob(".new-*"))
    assert [path.name for path in kept.folder.glob("*.dump")] == [f"{first.name}.dump"]


def test_what_a_later_version_has_written_stays(kept: Store) -> None:
    """With more in its description, or with one that nobody here can read."""
    backup = made(kept)
    path = kept.folder / f"{backup.name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))
    assert kept.all() == [backup]
    path.write_text("of another form")
    with kept.locked():
        pass
    assert kept.path(backup).exists()


def test_the_last_ones_of_each_reason_stay(kept: Store) -> None:
    """One made by hand before a migration is not pushed out by those of the timer, nor the reverse."""
    for day in range(1, 6):
        made(kept, day=day)
    made(kept, day=6, why="hand")
    made(kept, day=7, why="removal")
    removed = kept.prune(2)
    assert removed == ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z"]
    assert [backup.name[6:8] for backup in kept.all()] == ["04", "05", "06", "07"]
    kept.prune(0)
    assert [backup.name[6:8] for backup in kept.all()] == ["05", "06", "07"]


def test_a_backup_named_in_the_future_does_not_push_out_the_one_just_made(kept: Store) -> None:
    """The clock was ahead once: with keep = 1 each new backup would go as soon as it was made."""
    ahead, new = made(kept, day=9), made(kept, day=2)
    os.utime(kept.path(ahead), (0, 0))
    assert kept.prune(1) == [ahead.name]
    assert kept.all() == [new]


def test_backups_of_one_second_are_in_the_order_of_their_numbers(kept: Store) -> None:
    """`find` gives the last one: -10 comes after -2, and both after none."""
    first = made(kept)
    for suffix in ("-10", "-2"):
        name = f"{first.name}{suffix}"
        kept.path(replace(first, name=name)).write_bytes(b"rows")
        kept.write_json(f"{name}.json", asdict(replace(first, name=name)))
    assert [backup.name[16:] for backup in kept.all()] == ["", "-2", "-10"]


def test_the_newest_is_of_what_the_database_was(kept: Store) -> None:
    """What was removed, and backed up before, comes back by its name alone."""
    first, removed = made(kept), made(kept, day=2, why=store.REMOVAL)
    assert kept.find(None) == first
    assert kept.find(removed.name) == removed


def test_another_run_is_refused_and_harms_nothing(kept: Store) -> None:
    """A timer may start while somebody restores."""
    with kept.locked(), pytest.raises(BackupError, match="Another backup"), kept.locked():
        pass


def test_a_changed_file_is_not_restored(kept: Store) -> None:
    """Disks rot."""
    backup = made(kept)
    kept.require_whole(backup)
    kept.path(backup).write_bytes(b"rowS")
    with pytest.raises(BackupError, match="checksum"):
        kept.require_whole(backup)


def test_a_file_that_was_cut_is_no_backup(kept: Store) -> None:
    """Its description says how long it is."""
    kept.path(made(kept)).write_bytes(b"row")
    assert kept.all() == []


def test_a_backup_arrives_whole_or_not_at_all(kept: Store) -> None:
    """From the developer, or from a copy."""
    with kept.locked():
        backup = kept.receive(packed())
        assert kept.receive(packed()) == backup
        assert (backup.why, kept.path(backup).read_bytes()) == ("import", b"rows")
        cut = packed(b"others", name="20260102T000000Z")
        with pytest.raises(BackupError, match="whole"):
            kept.receive(io.BytesIO(cut.getvalue()[:-1]))
    assert kept.all() == [backup]


def test_a_name_that_is_taken_by_something_else_gets_another(kept: Store) -> None:
    """Nothing replaces a backup."""
    with kept.locked():
        first, second = kept.receive(packed()), kept.receive(packed(b"others"))
    assert first.name != second.name
    assert len(kept.all()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc/cron.d/x"},
        {"name": "20260101T000000Z\n"},
        {"database": "../x"},
        {"sha256": "x"},
        {"size": -1},
        {"size": True},
        {"rows": {"t": "many"}},
        {"facts": {"encoding": 1}},
    ],
)
def test_a_header_that_is_none_is_refused(change: dict[str, object]) -> None:
    """It comes from another host, or from a file of anybody."""
    with pytest.raises(BackupError):
        store.checked({**asdict(HEADER), **change})


@pytest.mark.parametrize("text", [b"", b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n", b"null\n"])
def test_other_bytes_are_no_header(text: bytes) -> None:
    """A login shell that prints something, say."""
    with pytest.raises(BackupError):
        store.read_header(io.BytesIO(text))


def test_a_host_that_takes_a_copy_and_never_answers_is_given_up(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it holds up all further backups of the timer, and nothing says so."""
    made(kept)
    monkeypatch.setattr(copies, "LONGEST_PUSH", 0.3)
    monkeypatch.setattr(copies, "command", lambda *_: ["sh", "-c", "cat > /dev/null; exec sleep 30"])
    with pytest.raises(BackupError, match="ssh did not end within"):
        copies.push_new(kept, copies.CopyHost("vault", "10.0.0.9", "shop_db"))
    assert not kept.is_copied(kept.all()[0])


def test_a_backup_of_the_future_is_not_the_newest(kept: Store) -> None:
    """A clock was ahead, or a host that was taken over made it: it would be the newest for years."""
    first = made(kept)
    with kept.locked():
        ahead = kept.write(lambda write: (write(b"x"), replace(HEADER, name="29990101T000000Z"))[1])
        brought = kept.receive(packed(b"y", name="29980101T000000Z"))
    assert kept.find(None) == kept.newest() != ahead
    assert not brought.is_of_future
    assert kept.find(ahead.name) == ahead
    assert first in kept.all()


def test_a_foreign_file_that_comes_twice_is_kept_once(kept: Store) -> None:
    """Its name is when it came; nothing removes it later."""
    with kept.locked():
        first = kept.receive(packed(why="foreign"))
        again = kept.receive(packed(why="foreign", name="20260102T000000Z"))
    assert (again, kept.all()) == (first, [first])

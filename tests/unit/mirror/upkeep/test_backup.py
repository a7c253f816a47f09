"""mirror.upkeep.backup: whole, small, and read by nobody else."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror import last_settings
from mirror.config import MirrorConfig
from mirror.state import Folder
from mirror.upkeep import backup
from packhorse import files
from packhorse.errors import PackhorseError
from tests.support import mirror_folder

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return mirror_folder.make(tmp_path / "home")


def test_the_settings_that_hold_are_taken_from_wherever_they_are(folder: Folder, tmp_path: Path) -> None:
    """A timer runs in another folder than mirror.toml's; what that declares would be lost without it."""
    here = tmp_path / "here/mirror.toml"
    assert backup.settings_of(folder, None, here) is None
    here.parent.mkdir()
    here.write_text("port = 1\n")
    assert backup.settings_of(folder, None, here) == here
    own = tmp_path / "own/mirror.toml"
    last_settings.remember(folder, own, MirrorConfig())
    assert backup.settings_of(folder, None, here) == own
    assert backup.settings_of(folder, here, here) == here
    with pytest.raises(PackhorseError, match=r"own/mirror\.toml, .*: No such file"):
        backup.make(folder, tmp_path / "backups", 7, NOW, own)
    assert not list((tmp_path / "backups").iterdir())


def test_passwords_stay_readable_by_their_owner_alone(folder: Folder, tmp_path: Path) -> None:
    """The folder of backups may be on a disk that others see."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / "server" / backup.DATABASE).stat().st_mode & 0o777 == 0o600


def test_a_backup_on_the_same_disk_takes_no_room_for_files(folder: Folder, tmp_path: Path) -> None:
    """They are never changed, so a link is as good as a copy."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    name = Path("company/dev/+f/abc/a-1.0.whl")
    assert (made / "server/+files" / name).samefile(folder.files / name)


def test_on_another_disk_only_new_files_take_room(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror's cache is large and grows slowly."""
    link = Path.hardlink_to

    def other_disk(self: Path, target: Path) -> None:
        if Path(target).is_relative_to(folder.server):
            raise OSError(18, "Invalid cross-device link")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    first = backup.make(folder, tmp_path / "backups", 7, NOW)
    second = backup.make(folder, tmp_path / "backups", 7, LATER)
    name = "server/+files/company/dev/+f/abc/a-1.0.whl"
    assert not (first / name).samefile(folder.server / name.removeprefix("server/"))
    assert (second / name).samefile(first / name)


def test_only_the_last_ones_are_kept_and_nothing_half_done(folder: Folder, tmp_path: Path) -> None:
    """A full disk would be the end of all backups."""
    target = tmp_path / "backups"
    (target / f"2026-11-20T030000Z{backup.SCRATCH}").mkdir(parents=True)
    (target / "photos.new").mkdir()
    backup.make(folder, target, 1, NOW)
    backup.make(folder, target, 1, LATER)
    assert sorted(path.name for path in target.iterdir()) == ["2026-11-22T030000Z", "photos.new"]


def test_two_in_one_second_have_names_of_their_own(folder: Folder, tmp_path: Path) -> None:
    """A script that tries again at once."""
    first, second = (backup.make(folder, tmp_path / "backups", 7, NOW) for _ in range(2))
    assert (first.name, second.name) == ("2026-11-21T030000Z", "2026-11-21T030001Z")


def test_two_at_once_do_not_disturb_each_other(folder: Folder, tmp_path: Path) -> None:
    """The second would remove what the first has not finished."""
    (target := tmp_path / "backups").mkdir()
    descriptor = os.open(target, os.O_RDONLY)
    try:
        assert files.try_flock(descriptor)
        with pytest.raises(PackhorseError, match="Another `mirror backup` writes to"):
            backup.make(folder, target, 7, NOW)
    finally:
        os.close(descriptor)
    assert backup.make(folder, target, 7, NOW).exists()


def test_a_backup_is_not_made_in_the_mirror_itself(folder: Folder, tmp_path: Path) -> None:
    """It would copy itself until the disk is full; a link there is no other folder."""
    (tmp_path / "link").symlink_to(folder.files)
    for target in (folder.server / "backups", folder.root, tmp_path / "link/backups"):
        with pytest.raises(PackhorseError, match="in the mirror's own folder"):
            backup.make(folder, target, 7, NOW)
    assert not (folder.files / "backups").exists()


def test_a_backup_that_fails_leaves_nothing(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stays full otherwise."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a-1.0.whl")

    monkeypatch.setattr(backup, "_link", full)
    with pytest.raises(PackhorseError, match=r"a-1\.0\.whl: No space left on device"):
        backup.make(folder, tmp_path / "backups", 7, NOW)
    assert not list((tmp_path / "backups").iterdir())


def test_a_damaged_database_makes_no_backup(folder: Folder, tmp_path: Path) -> None:
    """It would push the last good one out."""
    with (folder.server / backup.DATABASE).open("r+b") as database:
        database.seek(4096)
        database.write(b"\xff" * 4096)
    with pytest.raises(PackhorseError, match="damaged"):
        backup.make(folder, tmp_path / "backups", 7, NOW)
    assert not list((tmp_path / "backups").glob("*Z"))


def test_without_a_mirror_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    """PACKHORSE_HOME was forgotten."""
    with pytest.raises(PackhorseError, match="no mirror"):
        backup.make(Folder(tmp_path), tmp_path / "backups", 7, NOW)


def test_a_backup_is_no_use_of_a_file_and_knows_the_last_one(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another disk, too: there the copy of an earlier backup learns what has happened since."""
    link = Path.hardlink_to

    def another_disk(self: Path, target: Path) -> None:
        if folder.home in target.parents:
            raise OSError(errno.EXDEV, "another disk")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", another_disk)
    name = Path("server/+files/company/dev/+f/abc/a-1.0.whl")
    source = folder.root / name
    os.utime(source, (1000, 500))
    backup.make(folder, tmp_path / "target", keep=3, now=NOW)
    assert (source.stat().st_atime, source.stat().st_mtime) == (1000, 500)
    os.utime(source, (2000, 500))
    made = backup.make(folder, tmp_path / "target", keep=3, now=LATER)
    assert (made / name).stat().st_atime == 2000

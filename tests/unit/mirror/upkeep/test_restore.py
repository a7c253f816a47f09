"""mirror.upkeep.restore: a backup becomes the mirror that it was made of."""

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror import last_settings
from mirror.config import MirrorConfig
from mirror.state import Folder
from mirror.upkeep import backup, restore
from packhorse.errors import PackhorseError
from tests.support import mirror_folder

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return mirror_folder.make(tmp_path / "home")


def number(server: Path) -> int:
    with closing(sqlite3.connect(server / backup.DATABASE)) as database:
        return int(database.execute("SELECT n FROM t").fetchone()[0])


def test_a_backup_becomes_the_mirror_that_it_was_made_of(folder: Folder, tmp_path: Path) -> None:
    """Pages are made again, and half a download is worth nothing."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    assert made.name == "2026-11-21T030000Z"
    again = Folder(tmp_path / "again")
    again.home.mkdir()
    restore.restore(again, made)
    assert number(again.server) == 7
    assert (again.files / "company/dev/+f/abc/a-1.0.whl").read_text() == "a-1.0.whl"
    assert again.secret.read_text() == "secret"
    assert not again.pages.exists()
    assert not (again.server / "+downloads").exists()


def test_mirror_toml_comes_back_and_replaces_none(folder: Folder, tmp_path: Path) -> None:
    """Without it `mirror init` would refuse, or the defaults would hold; its upstream may have a password."""
    settings = tmp_path / "mirror.toml"
    settings.write_text("port = 1\n")
    made = backup.make(folder, tmp_path / "backups", 7, NOW, settings)
    assert (made / "mirror.toml").stat().st_mode & 0o777 == 0o600
    for name, there in (("first", None), ("second", "port = 2\n"), ("third", "port = 1\n")):
        again = Folder(tmp_path / name)
        again.home.mkdir()
        place = again.home / "mirror.toml"
        if there:
            place.write_text(there)
        left = restore.restore(again, made)
        assert left == (made / "mirror.toml" if name == "second" else None)
        assert place.read_text() == (there or "port = 1\n")
        assert place.stat().st_mode & 0o777 == (0o644 if there else 0o600)
        assert not (again.root / "mirror.toml").exists()


def test_the_settings_of_the_backup_hold_after_it(folder: Folder, tmp_path: Path) -> None:
    """Another mirror.toml, that `mirror init` finds then, takes nothing back before somebody names it."""
    own = tmp_path / "own.toml"
    own.write_text("port = 2\n")
    last_settings.remember(folder, own, MirrorConfig(port=2))
    made = backup.make(folder, tmp_path / "backups", 7, NOW, own)
    for name, there in (("first", None), ("second", "port = 3\n")):
        again = Folder(tmp_path / name)
        again.home.mkdir()
        place = again.home / "mirror.toml"
        if there:
            place.write_text(there)
        restore.restore(again, made)
        last, known = last_settings.read(again), last_settings.read(folder)
        assert last
        assert known
        assert last.file == str(made / "mirror.toml" if there else place)
        assert last.settings == known.settings
        assert (last_settings.of_another_file(again, place) is None) is (there is None)


def test_mirror_toml_that_has_no_place_stays_in_the_backup(folder: Folder, tmp_path: Path) -> None:
    """Such as one in /etc, restored by the mirror's own user; the mirror comes back all the same."""
    settings = tmp_path / "mirror.toml"
    settings.write_text("port = 3142\n")
    made = backup.make(folder, tmp_path / "backups", 7, NOW, settings)
    again = Folder(tmp_path / "again")
    assert restore.restore(again, made, tmp_path / "nowhere" / "mirror.toml") == made / "mirror.toml"
    assert again.root.is_dir()


def test_evidence_and_the_trust_root_come_back(folder: Folder, tmp_path: Path) -> None:
    """Without its record, a project's next publisher would be taken for the first one."""
    record = "server/+evidence/root%2Fpypi/demo"
    (folder.root / record).parent.mkdir(parents=True)
    (folder.root / record).write_text('{"pinned":[{"kind":"GitHub"}]}')
    (folder.root / "trusted_root.json").write_text("{}")
    proof = f"server/+provenance/root%2Fpypi/{'ab' * 32}.{'cd' * 32}"
    (folder.root / proof).parent.mkdir(parents=True)
    (folder.root / proof).write_text("proof")
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    (folder.root / record).unlink()  # as it is replaced: by another file
    (folder.root / record).write_text("newer")
    later = backup.make(folder, tmp_path / "backups", 7, LATER)
    for name, of, content in (
        ("first", made, '{"pinned":[{"kind":"GitHub"}]}'),
        ("second", later, "newer"),
    ):
        again = Folder(tmp_path / name)
        again.home.mkdir()
        restore.restore(again, of)
        assert (again.root / record).read_text() == content
        assert (again.root / "trusted_root.json").read_text() == "{}"
        assert (again.root / proof).read_text() == "proof"


def test_nothing_is_restored_over_a_mirror_or_from_something_else(folder: Folder, tmp_path: Path) -> None:
    """The wrong folder in the hurry of a bad day."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    with pytest.raises(PackhorseError, match="exists already"):
        restore.restore(folder, made)
    with pytest.raises(PackhorseError, match="not a backup"):
        restore.restore(Folder(tmp_path / "again"), tmp_path)
    half = made.rename(made.with_name(made.name + backup.SCRATCH))
    with pytest.raises(PackhorseError, match="not a backup"):
        restore.restore(Folder(tmp_path / "again"), half)


@pytest.mark.parametrize("odd", ["link to a folder", "link to a file", "dangling link", "pipe"])
def test_what_no_backup_has_is_not_restored(folder: Folder, tmp_path: Path, odd: str) -> None:
    """A disk from elsewhere must not lead the mirror to other folders, nor hang it."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    outside = tmp_path / "outside"
    outside.mkdir()
    path = made / "server/+files/odd"
    if odd == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(
            {"link to a folder": outside, "link to a file": made / "secret"}.get(odd, outside / "x")
        )
    again = Folder(tmp_path / "again")
    with pytest.raises(PackhorseError, match="odd is neither a file nor a folder"):
        restore.restore(again, made)
    assert not again.home.exists()


def test_a_backup_makes_no_file_readable_for_others_nor_setuid(folder: Folder, tmp_path: Path) -> None:
    """Root restores it, and who keeps the disk has set the modes."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    wheel = "server/+files/company/dev/+f/abc/a-1.0.whl"
    for name, mode in (("secret", 0o644), (f"server/{backup.DATABASE}", 0o666), (wheel, 0o4755)):
        (made / name).chmod(mode)
    again = Folder(tmp_path / "again")
    restore.restore(again, made)
    modes = [
        (again.root / name).stat().st_mode & 0o7777 for name in ("secret", f"server/{backup.DATABASE}", wheel)
    ]
    assert modes == [0o600, 0o600, 0o755]


def test_a_backup_has_the_known_vulnerabilities(folder: Folder, tmp_path: Path) -> None:
    """A restored mirror that blocks by them would have nothing to go by."""
    folder.advisories.write_bytes(b"advisories")
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    restore.restore(Folder(tmp_path / "again"), made)
    assert Folder(tmp_path / "again").advisories.read_bytes() == b"advisories"


def test_what_is_restored_counts_as_unused_for_as_long_as_when_the_backup_was_made(
    folder: Folder, tmp_path: Path
) -> None:
    """Otherwise the first prune after it would remove what was used every day."""
    name = Path("server/+files/company/dev/+f/abc/a-1.0.whl")
    made = backup.make(folder, tmp_path / "target", keep=1, now=NOW)
    then = time.time() - 100 * 86_400
    os.utime(made / name, (then - 3600, then - 7200))
    os.utime(made / "server" / backup.DATABASE, (then, then))
    restored = Folder(tmp_path / "elsewhere")
    restored.home.mkdir()
    restore.restore(restored, made)
    assert 3500 < time.time() - (restored.root / name).stat().st_atime < 3700
    assert (made / name).stat().st_atime == then - 3600


@pytest.mark.parametrize(
    "name", ["mirror.toml", "credentials.json", "secret", "last-settings.json", f"server/{backup.DATABASE}"]
)
def test_a_folder_where_a_backup_has_a_file_is_refused(folder: Folder, tmp_path: Path, name: str) -> None:
    """Before anything is copied, and without a traceback."""
    made = backup.make(folder, tmp_path / "backups", 7, NOW)
    (made / name).unlink(missing_ok=True)
    (made / name).mkdir()
    again = Folder(tmp_path / "again")
    again.home.mkdir()
    with pytest.raises(PackhorseError, match=r"is a folder|is not a backup"):
        restore.restore(again, made)
    assert not list(again.home.iterdir())

"""Tests of replacing the file of known vulnerabilities by an export that is not trusted."""

import json
import sqlite3
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from mirror.advisories import osv, update
from mirror.advisories.database import Database
from packhorse.errors import PackhorseError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def no_network(url: str, _file: IO[bytes]) -> None:
    """Fail for a source that is a URL."""
    pytest.fail(url)


def record(number: int, modified: str = "2026-02-27T08:00:00Z") -> bytes:
    """A record about a project of its own."""
    events = [{"introduced": "0"}, {"fixed": "2"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": f"demo-{number}"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return json.dumps({"id": f"PYSEC-2026-{number}", "modified": modified, "affected": [affected]}).encode()


def zipped(path: Path, members: Mapping[str, bytes]) -> str:
    """A zip with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def export(path: Path, count: int = 10) -> str:
    """An export with so many records, as OSV zips it."""
    return zipped(path, {f"PYSEC-2026-{number}.json": record(number) for number in range(count)})


def test_a_zip_and_a_folder_give_the_same_file(tmp_path: Path) -> None:
    """What they hold can be looked up at once, with the age of the newest."""
    target = tmp_path / "home" / "advisories.sqlite"
    done = update.update(export(tmp_path / "all.zip"), target, NOW, no_network)
    first = target.read_bytes()
    assert (done.about.advisories, done.about.projects, done.about.newest) == (10, 10, "2026-02-27T08:00:00Z")
    assert done.about.days_old(NOW) == 1
    assert Database(target).known(["demo-1", "other"])["demo-1"].find("1.5")[0].fixed_in == "2"
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    again = update.update(str(tmp_path / "unpacked"), target, NOW, no_network)
    assert again.before == done.about
    assert target.read_bytes() == first


def test_a_date_in_the_future_does_not_make_old_advisories_new(tmp_path: Path) -> None:
    """One record of tomorrow would silence the warning for good."""
    members = {
        "a.json": record(1, "2025-01-01T00:00:00Z"),
        "b.json": record(2, "2030-01-01T00:00:00Z"),
        "c.json": record(3, "?"),
    }
    done = update.update(zipped(tmp_path / "all.zip", members), tmp_path / "db", NOW, no_network)
    assert done.about.newest == "2025-01-01T00:00:00Z"


def test_single_records_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    """One broken record must not keep all others out."""
    members = {f"{number}.json": record(number) for number in range(200)} | {"bad.json": b"{"}
    done = update.update(zipped(tmp_path / "all.zip", members), tmp_path / "db", NOW, no_network)
    assert done.about.advisories == 200
    assert [name.partition(":")[0] for name in done.unreadable] == ["bad.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no zip archive"),
        (b"PK\x03\x04" + b"\x00" * 100, "no zip archive"),
        (b"<html>", "no zip archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """A proxy's error page, for example."""
    (tmp_path / "all.zip").write_bytes(content)
    with pytest.raises(PackhorseError, match=message):
        update.update(str(tmp_path / "all.zip"), tmp_path / "db", NOW, no_network)
    assert not (tmp_path / "db").exists()


def test_another_export_or_a_part_of_one_leaves_the_old_file(tmp_path: Path) -> None:
    """Few advisories look like safety."""
    target = tmp_path / "db"
    update.update(export(tmp_path / "all.zip"), target, NOW, no_network)
    before = target.read_bytes()
    for source, message in (
        (export(tmp_path / "part.zip", 4), "a part"),
        (zipped(tmp_path / "empty.zip", {}), "no advisory"),
        (zipped(tmp_path / "odd.zip", {"a.json": b"{", "b.json": record(1)}), "1 of 2 records"),
        (str(tmp_path / "nothing"), "no such file"),
    ):
        with pytest.raises(PackhorseError, match=message):
            update.update(source, target, NOW, no_network)
    assert target.read_bytes() == before


def test_a_bomb_is_read_no_further_than_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip of kilobytes can hold gigabytes; what it says of its own size does not count."""
    monkeypatch.setattr(osv, "LARGEST", 1000)
    bomb = zipped(tmp_path / "bomb.zip", {"a.json": b" " * 50_000_000})
    with pytest.raises(PackhorseError, match="1 of 1 records"):
        update.update(bomb, tmp_path / "db", NOW, no_network)
    monkeypatch.setattr(update, "LARGEST_UNPACKED", 1000)
    with pytest.raises(PackhorseError, match="unpacks to more"):
        update.update(export(tmp_path / "all.zip"), tmp_path / "db", NOW, no_network)
    monkeypatch.setattr(update, "MOST_RECORDS", 5)
    with pytest.raises(PackhorseError, match="10 files"):
        update.update(export(tmp_path / "all.zip"), tmp_path / "db", NOW, no_network)
    monkeypatch.setattr(update, "MOST_STATED", 5)
    with pytest.raises(PackhorseError, match="more than 5 aliases"):
        update.update(export(tmp_path / "all.zip", 3), tmp_path / "db", NOW, no_network)


def test_a_file_of_another_version_or_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    """None of them may count as a file without advisories."""
    with pytest.raises(PackhorseError, match="no advisories yet"):
        Database(tmp_path / "db").about()
    (tmp_path / "db").write_bytes(b"damaged" * 1000)
    with pytest.raises(PackhorseError, match="cannot be read"):
        Database(tmp_path / "db").known(["flask"])
    (tmp_path / "db").unlink()
    update.update(export(tmp_path / "all.zip"), tmp_path / "db", NOW, no_network)
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(PackhorseError, match="another version"):
        Database(tmp_path / "db").known(["flask"])


@pytest.mark.parametrize("content", [None, b"damaged" * 1000, b""])
def test_only_the_hint_says_where_the_file_is(tmp_path: Path, content: bytes | None) -> None:
    """Strangers are shown the message: by /+advisories, at a denied file, by +why."""
    if content is not None:
        (tmp_path / "db").write_bytes(content)
    with pytest.raises(PackhorseError) as caught:
        Database(tmp_path / "db").about()
    assert str(tmp_path) not in f"{caught.value} {caught.value.message} {caught.value.detail}"
    assert str(tmp_path / "db") in caught.value.hint

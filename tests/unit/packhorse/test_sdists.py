"""Sdists of anybody: their files, and the limits on what they unpack to."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from packhorse import sdists


def sdist(path: Path, members: Mapping[str, bytes]) -> Path:
    """An archive with these files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_files_are_read_one_by_one_whole_in_part_or_not(tmp_path: Path) -> None:
    """The stream goes forward only."""
    files = {f"demo-1.0/{'x' * size}{size}": b"y" * size for size in (0, 1, 512, 5000)}
    path = sdist(tmp_path / "demo-1.0.tar.gz", files)
    assert {name: content.read() for name, content in sdists.members(path)} == files
    assert {name: content.read(1) for name, content in sdists.members(path)} == {
        name: content[:1] for name, content in files.items()
    }
    assert [name for name, _ in sdists.members(path)] == list(files)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE])
def test_a_header_is_not_read_into_memory_whatever_size_it_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes
) -> None:
    """The name of a member may have gigabytes, of which an archive has some thousandth."""
    monkeypatch.setattr(sdists, "LARGEST_READ", 100_000)
    header = tarfile.TarInfo("././@LongLink")
    header.type = kind
    header.size = 200_000
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf() + bytes(300_000)))
    with pytest.raises(ValueError, match="too large"):
        list(sdists.members(path))


def test_an_archive_has_limits_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On bytes and members; one that ends within a file is broken."""
    path = sdist(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/a": bytes(100_000), "demo-1.0/b": b""})
    path.with_name("cut.tar.gz").write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:50_000]))
    with pytest.raises((EOFError, tarfile.ReadError)):
        list(sdists.members(path.with_name("cut.tar.gz")))
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 1)
    with pytest.raises(ValueError, match="more than 1 members"):
        list(sdists.members(path))
    monkeypatch.setattr(sdists, "LARGEST", 50_000)
    with pytest.raises(ValueError, match="too large"):
        list(sdists.members(path))

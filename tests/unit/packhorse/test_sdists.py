"""Sdists of anybody: their files, and the limits on what they unpack to."""

import contextlib
import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
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
    assert {member.name: content.read() for member, content in sdists.members(path)} == files
    assert {member.name: content.read(1) for member, content in sdists.members(path)} == {
        name: content[:1] for name, content in files.items()
    }
    assert [member.name for member, _ in sdists.members(path)] == list(files)


def long_comment(member: tarfile.TarInfo) -> int:
    member.pax_headers = {"comment": "x" * (sdists.LARGEST_HEADERS // 2)}
    return tarfile.PAX_FORMAT


def long_name(member: tarfile.TarInfo) -> int:
    member.name += "x" * (sdists.LARGEST_HEADERS // 2)
    return tarfile.GNU_FORMAT


def long_link(member: tarfile.TarInfo) -> int:
    member.type, member.linkname = tarfile.LNKTYPE, "x" * (sdists.LARGEST_HEADERS // 2)
    return tarfile.GNU_FORMAT


def old_sparse(member: tarfile.TarInfo) -> int:
    member.type = tarfile.GNUTYPE_SPARSE
    return tarfile.GNU_FORMAT


def new_sparse(member: tarfile.TarInfo) -> int:
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
    return tarfile.PAX_FORMAT


def sparse_map(member: tarfile.TarInfo) -> int:
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "10"}
    return tarfile.PAX_FORMAT


@pytest.mark.parametrize("change", [long_comment, long_name, long_link, old_sparse, new_sparse, sparse_map])
def test_a_tar_whose_headers_fill_the_memory_is_refused(
    change: Callable[[tarfile.TarInfo], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 kB of it took 320 MB and 19 seconds, before any limit on files counted."""
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 2**20)
    path, member = tmp_path / "demo-1.0.tar.gz", tarfile.TarInfo("demo-1.0/x")
    with tarfile.open(path, "w:gz", format=change(member)) as archive:
        archive.addfile(member)  # one alone is small enough: tarfile keeps all of them
        archive.addfile(member)
    with pytest.raises(sdists.LimitError, match=r"headers of more than 1 MiB|a sparse file"):
        list(sdists.members(path))


def test_headers_for_all_members_count_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile gives each member a copy: a header of 16 MiB and twenty empty files took gigabytes."""
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 1_000_000)
    path, names = tmp_path / "demo-1.0.tar.gz", {str(number): "x" for number in range(2000)}
    for count, is_refused in ((3, False), (100, True)):
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers=names) as archive:
            for number in range(count):
                archive.addfile(tarfile.TarInfo(f"demo-1.0/{number}"))
        with pytest.raises(sdists.LimitError) if is_refused else contextlib.nullcontext():
            list(sdists.members(path))


def raw(kind: bytes, size: int, name: str = "demo-1.0/x") -> bytes:
    """A header as nobody writes it."""
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, b"g"])
def test_a_header_is_not_read_into_memory_whatever_size_it_states(tmp_path: Path, kind: bytes) -> None:
    """The name of a member may have gigabytes, of which an archive has some thousandth."""
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(raw(kind, 2**33) + bytes(300_000)))
    with pytest.raises(sdists.LimitError, match="headers of more than 16 MiB"):
        list(sdists.members(path))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_below_zero_do_not_lead_back(tmp_path: Path, kind: bytes) -> None:
    """A reader that follows them reads the same members for ever, and counts nothing."""
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(raw(tarfile.REGTYPE, 0) + raw(kind, -1024) + bytes(10_240)))
    with pytest.raises(sdists.LimitError, match="negative size"):
        list(sdists.members(path))
    record = b"14 size=-1024\n"
    pax = raw(tarfile.XHDTYPE, len(record)) + record.ljust(512, b"\0") + raw(tarfile.REGTYPE, 0)
    path.write_bytes(gzip.compress(pax + bytes(10_240)))
    with pytest.raises(sdists.LimitError, match="negative size"):
        list(sdists.members(path))


def test_an_archive_of_several_parts_is_read_whole(tmp_path: Path) -> None:
    """Compressors that use all processors write gzip in parts (RFC 1952, 2.2)."""
    path = sdist(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/a": b"a" * 5000, "demo-1.0/b": b"b"})
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(plain[:700]) + gzip.compress(plain[700:]))
    assert [(member.name, content.read(1)) for member, content in sdists.members(path)] == [
        ("demo-1.0/a", b"a"),
        ("demo-1.0/b", b"b"),
    ]


def test_an_archive_has_limits_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On bytes and members; one that ends within a file is broken."""
    path = sdist(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/a": bytes(100_000), "demo-1.0/b": b""})
    path.with_name("cut.tar.gz").write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:50_000]))
    with pytest.raises((EOFError, tarfile.ReadError)):
        list(sdists.members(path.with_name("cut.tar.gz")))
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 1)
    with pytest.raises(sdists.LimitError, match="more than 1 members"):
        list(sdists.members(path))
    monkeypatch.setattr(sdists, "LARGEST", 50_000)
    with pytest.raises(sdists.LimitError, match="unpacks to more than"):
        list(sdists.members(path))

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


def raw(kind: bytes, size: int, name: str = "demo-1.0/x") -> bytes:
    """A header as nobody writes it."""
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT)


def pax(kind: bytes, *records: str) -> bytes:
    """An extended header of these records, each `key=value`."""
    body = b""
    for record in records:
        rest = f" {record}\n".encode()
        size = len(rest) + 1
        while len(str(size)) + len(rest) != size:
            size += 1
        body += str(size).encode() + rest
    return raw(kind, len(body)) + body + bytes(-len(body) % 512)


def packed(path: Path, *parts: bytes) -> Path:
    path.write_bytes(gzip.compress(b"".join(parts) + bytes(10_240)))
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
    member.pax_headers = {"comment": "x" * (sdists.LARGEST_HEADER // 2)}
    return tarfile.PAX_FORMAT


def long_name(member: tarfile.TarInfo) -> int:
    member.name += "x" * (sdists.LARGEST_HEADER // 2)
    return tarfile.GNU_FORMAT


def long_link(member: tarfile.TarInfo) -> int:
    member.type, member.linkname = tarfile.LNKTYPE, "x" * (sdists.LARGEST_HEADER // 2)
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
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 600_000)
    path, member = tmp_path / "demo-1.0.tar.gz", tarfile.TarInfo("demo-1.0/x")
    with tarfile.open(path, "w:gz", format=change(member)) as archive:
        archive.addfile(member)  # one alone is small enough: tarfile keeps all of them
        archive.addfile(member)
    with pytest.raises(sdists.LimitError, match=r"headers of more than 0 MiB|a sparse file"):
        list(sdists.members(path))


def test_headers_for_all_members_count_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile gives each member a copy: a header of 16 MiB and twenty empty files took gigabytes."""
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 10_000_000)
    path, names = tmp_path / "demo-1.0.tar.gz", {str(number): "x" for number in range(2000)}
    for count, is_refused in ((3, False), (100, True)):
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers=names) as archive:
            for number in range(count):
                archive.addfile(tarfile.TarInfo(f"demo-1.0/{number}"))
        with pytest.raises(sdists.LimitError) if is_refused else contextlib.nullcontext():
            list(sdists.members(path))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, b"g"])
@pytest.mark.parametrize("size", [2**33, -1024])
def test_a_header_is_not_read_into_memory_whatever_size_it_states(
    tmp_path: Path, kind: bytes, size: int
) -> None:
    """The name of a member may have gigabytes, of which an archive has some thousandth."""
    with pytest.raises(sdists.LimitError, match="a header that is too large"):
        list(sdists.members(packed(tmp_path / "demo-1.0.tar.gz", raw(kind, size))))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_one_member_has_few_headers(tmp_path: Path, kind: bytes) -> None:
    """tarfile calls itself for each, and keeps a copy of what is said of all members in each call."""
    path = packed(tmp_path / "demo-1.0.tar.gz", raw(kind, 0) * 400, raw(tarfile.REGTYPE, 0))
    with pytest.raises(sdists.LimitError, match="too many for one member"):
        list(sdists.members(path))


def test_headers_that_copy_those_for_all_count_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """443 kB of empty headers after one with 200,000 records took 1.5 GB."""
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 4_000_000)
    for_all = pax(b"g", *(f"{number}=" for number in range(1000)))
    path = packed(tmp_path / "a.tar.gz", for_all, raw(tarfile.XHDTYPE, 0) * 18, raw(tarfile.REGTYPE, 0))
    with pytest.raises(sdists.LimitError, match="headers of more than"):
        list(sdists.members(path))


@pytest.mark.parametrize(
    "parts",
    [
        [raw(tarfile.REGTYPE, -1024)],
        [pax(b"x", "size=-1024"), raw(tarfile.REGTYPE, 0)],
        [pax(b"x", f"size={2**80}"), raw(tarfile.REGTYPE, 0)],
        [raw(tarfile.REGTYPE, 2**80)],
        [pax(b"g", "size=0"), raw(tarfile.REGTYPE, 2**80)],
        [pax(b"x", "GNU.sparse.realsize=0"), raw(tarfile.REGTYPE, 2**80)],
    ],
)
def test_sizes_lead_neither_back_nor_far_behind_the_end(tmp_path: Path, parts: list[bytes]) -> None:
    """A reader that follows them reads the same members for ever, or seeks for ever."""
    with pytest.raises(sdists.LimitError, match="leads back"):
        list(sdists.members(packed(tmp_path / "demo-1.0.tar.gz", raw(tarfile.REGTYPE, 0), *parts)))


@pytest.mark.parametrize(
    "header", [pax(b"x", "GNU.sparse.realsize=abc"), pax(b"x", "GNU.sparse.size=-", "GNU.sparse.name=x")]
)
def test_a_header_that_says_no_number_is_an_error_of_the_archive(tmp_path: Path, header: bytes) -> None:
    """tarfile raises ValueError for some."""
    with pytest.raises(tarfile.ReadError):
        list(sdists.members(packed(tmp_path / "demo-1.0.tar.gz", header, raw(tarfile.REGTYPE, 0))))


def test_the_pyproject_at_the_top_is_read_and_no_other(tmp_path: Path) -> None:
    """Also from memory."""
    files = {"demo-1.0/tests/pyproject.toml": b"no", "./demo-1.0/pyproject.toml": b"yes"}
    path = sdist(tmp_path / "demo-1.0.tar.gz", files)
    assert sdists.pyproject(path) == sdists.pyproject(io.BytesIO(path.read_bytes())) == b"yes"
    assert sdists.pyproject(sdist(tmp_path / "b.tar.gz", {"demo-1.0/a": b""})) == b""


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

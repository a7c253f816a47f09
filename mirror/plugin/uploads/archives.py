"""Open uploaded zip and tar archives within limits: no bombs, hidden members, or paths that lead out."""

import bz2
import csv
import gzip
import lzma
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, cast

from packhorse import sdists, zips

MOST_MEMBERS = 50_000  # the largest wheels have some twenty thousand
LARGEST_DIRECTORY = 32 * 1024 * 1024  # bytes of a zip's directory, which zipfile reads whole
LARGEST_RECORD = 32 * 1024 * 1024  # bytes; MOST_MEMBERS with their hashes and long names
LONGEST_PATH = 4096  # bytes of a path or the target of a link, as Linux takes them (PATH_MAX)
# Folders above a member: those of real packages have some twenty, and in the 260 characters of a path on
# Windows a hundred leave no room for names. Each of them is looked up for each member.
DEEPEST = 100
# As the public index has it: large archives are compressed to a fiftieth by nobody who means well.
UNPACKED_FREE, MOST_RATIO = 64 * 1024 * 1024, 50
_END, _END_SIZE, _ZIP64 = b"PK\x05\x06", 22, b"PK\x06\x07"
# The header before each member (APPNOTE.TXT, 4.3.7), without its signature and version, time and date.
_LOCAL = struct.Struct("<6xHH4xIIIHH")
_UTF8, _DESCRIPTOR = 0x800, 0x8  # flags: the name is UTF-8; CRC and sizes follow the member
_OTHER_NAME = 0x7075  # an extra field with a name that some readers prefer (Info-ZIP's Unicode path)
_DESCRIPTORS = {0, 12, 16, 20, 24}  # bytes after a member; zipfile checks what they say by the directory
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_TAR: dict[str, Callable[[Any], Any]] = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
}
# What zipfile, tarfile and their decompressors raise for bytes that are no archive.
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    csv.Error,  # of RECORD, which is read from the archive line by line
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class InvalidUploadError(Exception):
    """An upload is not what it says; the text tells users why, and quotes nothing that could be markup."""


def shown(text: str) -> str:
    """A part of an upload as it may stand in a status line."""
    return re.sub(r"[^A-Za-z0-9._+!/-]", "?", text[:100])


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """A zip archive whose members may be read one by one. Raises InvalidUploadError and what is BROKEN."""
    size = file.seek(0, 2)
    _check_end(file, size)
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise InvalidUploadError(f"the archive has more than {MOST_MEMBERS} members")
    check_ratio(sum(member.file_size for member in members), size)
    if len({member.filename for member in members}) != len(members):
        raise InvalidUploadError("the archive has two members of one name")
    for member in members:
        check_path(member.orig_filename)
        if not {"", "."}.isdisjoint(member.orig_filename.removesuffix("/").split("/")):
            raise InvalidUploadError(f"the archive has a path that is not plain: {shown(member.filename)}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InvalidUploadError(f"the archive has a link: {shown(member.filename)}")
        if member.flag_bits & 1:
            raise InvalidUploadError("the archive is encrypted")
        if member.compress_type not in zips.METHODS:
            raise InvalidUploadError(
                f"the archive is compressed by another method than deflate: {shown(member.filename)}"
            )
    _check_gaps(file, archive)
    return archive


def _check_end(file: IO[bytes], size: int) -> None:
    """The directory is bounded, and nothing stands before or behind it: of that, zip readers disagree."""
    file.seek(max(0, size - _END_SIZE - 0xFFFF - 20))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise InvalidUploadError("the file is no zip archive")
    directory, begin, comment = (
        int.from_bytes(tail[at + offset : at + offset + length], "little")
        for offset, length in ((12, 4), (16, 4), (20, 2))
    )
    if tail[max(0, at - 20) :].startswith(_ZIP64) or directory > LARGEST_DIRECTORY:
        raise InvalidUploadError("the archive has too many members, or is too large")
    if at + _END_SIZE + comment != len(tail) or begin + directory != size - len(tail) + at:
        raise InvalidUploadError("the file is more than a zip archive")


def _check_gaps(file: IO[bytes], archive: zipfile.ZipFile) -> None:
    """Members follow each other: a reader that goes from one to the next finds those of the directory."""
    position = 0
    for member in sorted(archive.infolist(), key=lambda each: each.header_offset):
        if member.header_offset - position not in _DESCRIPTORS or (member.header_offset and not position):
            raise InvalidUploadError("the archive has something between its members")
        position = member.header_offset + _check_local(file, member) + member.compress_size
    if archive.start_dir - position not in _DESCRIPTORS:
        raise InvalidUploadError("the archive has something between its members")


def _check_local(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Return the size of the header before a member, which must say what the directory says."""
    file.seek(member.header_offset)
    flags, method, crc, packed, unpacked, named, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    name = member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")
    same = file.read(named) == name and (flags, method) == (member.flag_bits, member.compress_type)
    stated = (crc, packed, unpacked) == (member.CRC, member.compress_size, member.file_size)
    if not same or not (stated or flags & _DESCRIPTOR):
        raise InvalidUploadError(f"the archive says two things of {shown(member.filename)}")
    if _OTHER_NAME in {*_fields(member.extra), *_fields(file.read(extra))}:
        raise InvalidUploadError(f"the archive has two names for {shown(member.filename)}")
    return int(_LOCAL.size + named + extra)


def _fields(extra: bytes) -> Iterator[int]:
    """The kinds of the extra fields of a member."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        yield kind
        at += 4 + length


def read_member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """A member of `largest` bytes at most. Raises InvalidUploadError and what is BROKEN."""
    with open_member(archive, name, largest) as content:
        return content.read(largest + 1)  # to its end, which checks its CRC


def open_member(archive: zipfile.ZipFile, name: str, largest: int) -> IO[bytes]:
    """A member of `largest` bytes at most, to be read in parts. Raises as `read_member` does."""
    if name not in archive.NameToInfo:
        raise InvalidUploadError(f"the archive has no {shown(name)}")
    if archive.getinfo(name).file_size > largest:
        raise InvalidUploadError(f"{shown(name)} is too large")
    return archive.open(name)


def tar_members(file: IO[bytes], suffix: str) -> Iterator[tuple[tarfile.TarInfo, Callable[[int], bytes]]]:
    """The members of a tar archive, with a function that reads each, of so many bytes at most.

    Raises as `open_zip` does.
    """
    size = file.seek(0, 2)
    file.seek(0)
    unpacked = _Unpacked(_TAR.get(suffix, lambda plain: plain)(file), size)
    seen: dict[str, bool] = {}
    links: set[str] = set()
    with sdists.Archive.open(fileobj=cast("IO[bytes]", unpacked), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS:
                raise InvalidUploadError(f"the archive has more than {MOST_MEMBERS} members")
            check_path(member.name)
            _check_size(member.linkname)
            _check_kind(member)
            _check_order(member, seen, links)
            yield member, partial(_content, archive, member)
    while unpacked.read(2**20):  # to the end, which checks the CRC
        pass


def _check_kind(member: tarfile.TarInfo) -> None:
    """Neither a device nor a link that leads out (PEP 706; tarfile's own filter is not in Python 3.11.2)."""
    is_link = member.issym() or member.islnk()
    folder = posixpath.dirname(member.name) if member.issym() else ""
    target = posixpath.normpath(posixpath.join(folder, member.linkname)) if is_link else "."
    leads_out = target == ".." or target.startswith(("../", "/")) or re.match("[A-Za-z]:", member.linkname)
    if not (member.isreg() or member.isdir() or is_link) or leads_out or _CONTROL.search(target):
        raise InvalidUploadError(f"the archive leads out of its folder: {shown(member.name)}")


def _check_order(member: tarfile.TarInfo, seen: dict[str, bool], links: set[str]) -> None:
    """A member replaces none before it, and lies below no link: who unpacks it finds what was checked.

    `seen`: whether each path before it is a folder; `links`: those that are symbolic links.
    """
    path = posixpath.normpath(member.name)
    if path in seen and not (seen[path] and member.isdir()):
        raise InvalidUploadError(f"the archive has two members at {shown(path)}")
    folder = posixpath.dirname(path) if member.issym() else ""
    target = posixpath.join(folder, member.linkname) if member.issym() or member.islnk() else ""
    if links and not links.isdisjoint([*_folders(path), *_folders(target)]):
        raise InvalidUploadError(f"the archive has a member below a link: {shown(path)}")
    seen[path] = member.isdir()
    if member.issym():
        links.add(path)


def _folders(path: str) -> Iterator[str]:
    """The folders on the way to `path`, from the top on, each as `normpath` writes it."""
    way = ""
    yield "."
    for part in [part for part in path.split("/") if part not in {"", "."}][:-1]:
        way = posixpath.dirname(way) if part == ".." else posixpath.join(way, part)
        yield way or "."


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, largest: int) -> bytes:
    content = archive.extractfile(member)
    if content is None or member.size > largest:
        raise InvalidUploadError(f"{shown(member.name)} is no file, or too large")
    return content.read()


class _Unpacked:
    """The bytes of a compressed tar, counted."""

    def __init__(self, file: Any, packed: int) -> None:
        self._file = file
        self._packed = packed
        self._count = 0

    def read(self, size: int) -> bytes:
        content: bytes = self._file.read(size)
        self._count += len(content)
        check_ratio(self._count, self._packed)
        return content


def check_ratio(unpacked: int, packed: int) -> None:
    """Raise InvalidUploadError for a decompression bomb."""
    if unpacked > max(UNPACKED_FREE, MOST_RATIO * packed):
        raise InvalidUploadError(
            f"the archive is a bomb: it unpacks to more than {MOST_RATIO} times its size"
        )


def check_path(path: str) -> None:
    """Raise InvalidUploadError for the path of a member that leads out of the archive's folder."""
    _check_size(path)
    if (
        not path
        or path.startswith("/")
        or ".." in path.split("/")
        or _CONTROL.search(path)
        or re.match("[A-Za-z]:", path)
    ):
        raise InvalidUploadError(f"the archive has a member with a forbidden path: {shown(path)}")


def _check_size(path: str) -> None:
    """Raise InvalidUploadError for a path, or the target of a link, that is no real package's."""
    if len(path.encode(errors="surrogateescape")) > LONGEST_PATH:
        raise InvalidUploadError(f"the archive has a path of more than {LONGEST_PATH} bytes: {shown(path)}")
    if path.count("/") > DEEPEST:
        raise InvalidUploadError(f"the archive has a path of more than {DEEPEST} folders: {shown(path)}")

"""Open uploaded zip and tar archives within limits: no bombs, hidden members, or paths that lead out."""

import bz2
import gzip
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any, cast

MOST_MEMBERS = 50_000  # the largest wheels have some twenty thousand
LARGEST_DIRECTORY = 32 * 1024 * 1024  # bytes of a zip's directory, which zipfile reads whole
LARGEST_TEXT = 32 * 1024 * 1024  # bytes of a member or a header that is read whole
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
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        yield kind
        extra = extra[4 + length :]


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small member. Raises InvalidUploadError and what is BROKEN."""
    if name not in archive.namelist():
        raise InvalidUploadError(f"the archive has no {shown(name)}")
    if archive.getinfo(name).file_size > LARGEST_TEXT:
        raise InvalidUploadError(f"{shown(name)} is too large")
    return archive.read(name)


def tar_members(file: IO[bytes], suffix: str) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """The members of a tar archive, with a function that reads each. Raises as `open_zip` does."""
    size = file.seek(0, 2)
    file.seek(0)
    unpacked = _Unpacked(_TAR.get(suffix, lambda plain: plain)(file), size)
    seen: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r:") as archive:
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS:
                raise InvalidUploadError(f"the archive has more than {MOST_MEMBERS} members")
            check_path(member.name)
            _check_kind(member)
            _check_order(member, seen)
            yield member, lambda found=member: _content(archive, found)  # type: ignore[misc]
    while unpacked.read(1024 * 1024):  # to its end, which checks its CRC
        pass


def _check_kind(member: tarfile.TarInfo) -> None:
    """Neither a device nor a link that leads out (PEP 706; tarfile's own filter is not in Python 3.11.2)."""
    is_link = member.issym() or member.islnk()
    folder = posixpath.dirname(member.name) if member.issym() else ""
    target = posixpath.normpath(posixpath.join(folder, member.linkname)) if is_link else "."
    leads_out = target == ".." or target.startswith(("../", "/")) or re.match("[A-Za-z]:", member.linkname)
    if not (member.isreg() or member.isdir() or is_link) or leads_out or _CONTROL.search(target):
        raise InvalidUploadError(f"the archive leads out of its folder: {shown(member.name)}")


def _check_order(member: tarfile.TarInfo, seen: dict[str, tarfile.TarInfo]) -> None:
    """A member replaces none before it, and lies below no link: who unpacks it finds what was checked."""
    path = posixpath.normpath(member.name)
    before = seen.get(path)
    if before and not (before.isdir() and member.isdir()):
        raise InvalidUploadError(f"the archive has two members at {shown(path)}")
    folder = posixpath.dirname(path) if member.issym() else ""
    target = posixpath.join(folder, member.linkname) if member.issym() or member.islnk() else path
    folders = [str(folder) for place in (path, target) for folder in PurePosixPath(place).parents]
    if any(folder in seen and seen[folder].issym() for folder in map(posixpath.normpath, folders)):
        raise InvalidUploadError(f"the archive has a member below a link: {shown(path)}")
    seen[path] = member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    if content is None or member.size > LARGEST_TEXT:
        raise InvalidUploadError(f"{shown(member.name)} is no file, or too large")
    return content.read()


class _Unpacked:
    """The bytes of a compressed tar, counted; only as much in memory as one reads at once."""

    def __init__(self, file: Any, packed: int) -> None:
        self._file = file
        self._packed = packed
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, count: int) -> bytes:
        if count > LARGEST_TEXT:  # the size in an extended header is the archive's word
            raise InvalidUploadError("the archive has a header that is too large")
        content: bytes = self._file.read(count)
        self._position += len(content)
        check_ratio(self._position, self._packed)
        return content

    def seek(self, position: int, _whence: int = 0) -> int:
        while self._position < position and self.read(min(1024 * 1024, position - self._position)):
            pass
        if self._position != position:
            raise InvalidUploadError("the archive is cut off")
        return position


def check_ratio(unpacked: int, packed: int) -> None:
    """Raise InvalidUploadError for a decompression bomb."""
    if unpacked > max(UNPACKED_FREE, MOST_RATIO * packed):
        raise InvalidUploadError(
            f"the archive is a bomb: it unpacks to more than {MOST_RATIO} times its size"
        )


def check_path(path: str) -> None:
    """Raise InvalidUploadError for the path of a member that leads out of the archive's folder."""
    parts = PurePosixPath(path).parts
    if (
        not path
        or path.startswith("/")
        or ".." in parts
        or _CONTROL.search(path)
        or re.match("[A-Za-z]:", path)
    ):
        raise InvalidUploadError(f"the archive has a member with a forbidden path: {shown(path)}")

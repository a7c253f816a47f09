"""Read METADATA from wheels, local or remote, and refuse what clients could not use."""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import SEEK_CUR, SEEK_END, RawIOBase
from typing import IO, Any, cast

from packaging.utils import canonicalize_name

from packhorse import zips

LARGEST = 4 * 1024 * 1024  # bytes of METADATA; the largest real ones have a few hundred kB
MOST_READ = 16 * 1024 * 1024  # bytes of one remote wheel; the directory of a wheel with 10,000 files is 1 MB
AROUND = 16 * 1024  # bytes that are fetched before and after what is asked for


class BrokenWheelError(Exception):
    """The wheel has no METADATA that a client could use; says why."""


def read_metadata(file: IO[bytes], filename: str) -> bytes:
    """METADATA of the wheel `file` of this name. Raises BrokenWheelError; errors of `file` pass through."""
    try:
        with zipfile.ZipFile(file) as archive:
            member = archive.getinfo(_member([name.filename for name in archive.filelist], filename))
            if member.file_size > LARGEST:
                raise BrokenWheelError(f"METADATA has {member.file_size} bytes")
            with zips.open_member(archive, member) as content:
                metadata = content.read(LARGEST + 1)  # to its end, which checks its CRC
    # What zipfile and its decompressors raise for bytes that are no archive (found by feeding it garbage).
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        LookupError,
        RuntimeError,
        ValueError,
    ) as error:
        raise BrokenWheelError(f"it is not a readable zip archive: {error}") from error
    check(metadata, filename)
    return metadata


def check(metadata: bytes, filename: str) -> None:
    """Raise BrokenWheelError unless `metadata` is of the project that `filename` names, as clients do."""
    headers = re.split(rb"\r?\n\r?\n", metadata, maxsplit=1)[0].decode(errors="replace")
    name = re.search(r"^name:[ \t]*(\S+)", headers, re.IGNORECASE | re.MULTILINE)
    version = re.search(r"^version:[ \t]*\S", headers, re.IGNORECASE | re.MULTILINE)
    if not name or not version:
        raise BrokenWheelError("METADATA has no name or no version")
    if canonicalize_name(name[1]) != _project(filename):
        raise BrokenWheelError(f"METADATA is about {name[1]}")


def _member(names: list[str], filename: str) -> str:
    """Path of the METADATA that is this wheel's own: `{name}-{version}.dist-info/METADATA`."""
    ends = (name for name in names if name.endswith("/METADATA"))  # of thousands of names, one
    found = [name for name in ends if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    own = [name for name in found if canonicalize_name(name.partition("-")[0]) == _project(filename)]
    if len(own) != 1 or len(found) != 1:
        raise BrokenWheelError(f"{len(found)} .dist-info folders with METADATA instead of one")
    return own[0]


def _project(filename: str) -> str:
    return canonicalize_name(filename.partition("-")[0])


class RemoteFile(RawIOBase):
    """A file of which only some parts are here; others are fetched when they are read.

    `fetch(start, stop)` gives these bytes. The parts around what is read come along, because a
    wheel's METADATA mostly lies just before the directory at its end.
    """

    def __init__(self, size: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size = size
        self._parts = {size - len(tail): tail}
        self._fetch = fetch
        self._position = 0
        self._fetched = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {SEEK_CUR: self._position, SEEK_END: self._size}.get(whence, 0)
        if base + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._position = base + offset
        return self._position

    def read(self, count: int | None = -1, /) -> bytes:
        start = min(self._position, self._size)
        stop = self._size if count is None or count < 0 else min(start + count, self._size)
        while start < stop and not self._here(start, stop):
            self._bring(start, stop)
        part_start, part = self._here(start, stop) or (start, b"")
        self._position = stop
        return part[start - part_start : stop - part_start]

    def _here(self, start: int, stop: int) -> tuple[int, bytes] | None:
        """The fetched part that has all of these bytes, with its start."""
        for part_start, part in self._parts.items():
            if part_start <= start and stop <= part_start + len(part):
                return part_start, part
        return None

    def _bring(self, start: int, stop: int) -> None:
        """Fetch what is missing, or the first part of it, joined with the parts before and after it."""
        # Before a large directory lies a large RECORD, about half as long, and METADATA before that.
        first = max(0, start - AROUND - (stop - start) * 3 // 4)
        before = self._here(start, start + 1)
        if before:
            first = before[0] + len(before[1])
        last = min(self._size, stop + AROUND)
        following = min((begin for begin in self._parts if first <= begin <= last), default=last)
        self._fetched += following - first
        if self._fetched > MOST_READ:
            raise BrokenWheelError(f"more than {MOST_READ} bytes of it would have to be read")
        content = self._fetch(first, following) if first < following else b""
        begin, part = before or (first, b"")
        self._parts[begin] = part + content + self._parts.pop(following, b"")


def remote(size: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> IO[bytes]:
    """A RemoteFile under the type that zipfile wants."""
    return cast("IO[bytes]", cast("Any", RemoteFile(size, tail, fetch)))

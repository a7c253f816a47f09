"""Read a log line by line, over its rotated parts, while a process writes it."""

import contextlib
import os
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packhorse import files

MOST = 1024 * 1024
"""Bytes of a line that are read at once; what is longer is cut: its writer is not trusted with our memory."""
CHUNK = 256 * 1024
LARGEST = 64 * 2**20
"""Bytes of a log and its parts that are looked at, the newest; the supervisor keeps 40 MiB. The application
can make it any size: to read 8 TB of a sparse file takes hours."""
PARTS = 3
"""Rotated parts that there may be beside a log: NAME.log.1 is the newest."""
HEAD = 40
"""Bytes by whose checksum the file of a position is known again: inodes are used anew for other files."""

Position = list[int]
"""Where a reader is: inode, checksum of the file's first bytes, offset. JSON."""


@dataclass
class _Part:
    """An open file. It can be read to its end when it has been renamed or removed."""

    descriptor: int
    inode: int
    offset: int = 0

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def left(self) -> int:
        """Bytes after the offset, which becomes 0 when somebody has emptied the file."""
        size = self.size()
        self.offset = self.offset if self.offset <= size else 0
        return size - self.offset

    def head(self, offset: int) -> int:
        return zlib.crc32(os.pread(self.descriptor, min(HEAD, offset), 0))


class LogReader:
    """Reads the whole lines of the log at `path`, from the oldest part that is there, or from a position.

    The processes of the application own their logs: what is no regular file there, such as a link to a file
    of ours or a pipe that never ends, counts as empty.
    """

    def __init__(self, path: Path, *, at: Position | None = None) -> None:
        self.path = path
        self.parts: deque[_Part] = deque()
        self.gap = False
        """Whether parts may have been removed before they were read."""
        self.refresh()
        if at:
            self._go_to(at)

    def refresh(self) -> None:
        """Open the parts that are new since the last call; call it more often than the log is rotated."""
        with contextlib.suppress(OSError):
            if self.parts and self.path.lstat().st_ino == self.parts[-1].inode:
                return
        found: list[_Part] = []
        known = False
        # The newest first: what is renamed meanwhile turns up twice, and not never.
        for path in (self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, PARTS + 1))):
            part = _open(path)
            if part is None:
                continue
            known = bool(self.parts) and part.inode == self.parts[-1].inode
            if known:
                os.close(part.descriptor)
                break
            if part.inode in {other.inode for other in found}:
                os.close(part.descriptor)
            else:
                found.append(part)
        self.gap = self.gap or (bool(self.parts) and len(found) > PARTS and not known)
        self.parts.extend(reversed(found))

    def _go_to(self, position: Position) -> None:
        inode, head, offset = position
        for index, part in enumerate(self.parts):
            if part.inode == inode and offset <= part.size() and part.head(offset) == head:
                part.offset = offset
                self._forget(index)
                return
        self.gap = True

    def position(self, back: int = 0) -> Position | None:
        """Position of the next line, or of the one `back` bytes before it; None: there is no file."""
        if not self.parts:
            return None
        part = self.parts[0]
        offset = max(0, part.offset - back)
        return [part.inode, part.head(offset), offset]

    def unread(self) -> int:
        """Bytes that are there and have not been read."""
        return sum(part.left() for part in self.parts)

    def skip(self, most: int) -> int:
        """Leave out the oldest of what has not been read, but for `most` bytes; returns how many bytes."""
        skipped = 0
        while (surplus := self.unread() - most) > 0:
            part = self.parts[0]
            left = part.left()
            if left <= surplus and len(self.parts) > 1:
                skipped += left
                self._forget(1)
                continue
            content = os.pread(part.descriptor, MOST, part.offset + surplus)
            whole = part.offset + surplus + content.find(b"\n") + 1
            skipped += whole - part.offset
            part.offset = whole
            break
        return skipped

    def lines(self) -> list[bytes]:
        """Some of the next whole lines; none when all that is there has been read."""
        while self.parts:
            part, newest = self.parts[0], len(self.parts) == 1
            content = os.pread(part.descriptor, min(CHUNK, part.left()), part.offset)
            whole, newline, _ = content.rpartition(b"\n")
            if content and not newline:
                content = os.pread(part.descriptor, MOST, part.offset)
                whole, newline, _ = content.rpartition(b"\n")
                if not newline and (len(content) == MOST or not newest):
                    whole = content
            if whole or newline:
                part.offset += len(whole) + len(newline)
                return whole.split(b"\n")
            if newest:
                return []
            self._forget(1)
        return []

    def new_lines(self) -> Iterator[bytes]:
        """Yield the whole lines that were appended since the last call, of too many the newest."""
        self.refresh()
        self.skip(LARGEST)
        for lines in self.present():
            yield from lines

    def present(self) -> Iterator[list[bytes]]:
        """Yield what is there now, and not what is written meanwhile: its writer may be faster than we."""
        left = self.unread()
        while left > 0 and (lines := self.lines()):
            left -= max(1, sum(map(len, lines)) + len(lines) - 1)  # what is cut has no newline
            yield lines

    def go_back(self, count: int) -> None:
        """Go to the last `count` lines of what is there and was not skipped."""
        for index in range(len(self.parts) - 1, -1, -1):
            part = self.parts[index]
            part.offset, found = _start_of_last(part, count)
            count -= found
            if count == 0:
                self._forget(index)
                return

    def leave_out(self, before: float) -> None:
        """Leave out parts to which nothing was written since `before` (seconds since 1970)."""
        old = sum(os.fstat(part.descriptor).st_mtime < before for part in self.parts)
        self._forget(old)

    def close(self) -> None:
        """Close all files."""
        self._forget(len(self.parts))

    def _forget(self, count: int) -> None:
        """Close the oldest `count` parts."""
        for _ in range(count):
            os.close(self.parts.popleft().descriptor)


def _open(path: Path) -> _Part | None:
    descriptor = files.open_regular(path)
    return None if descriptor is None else _Part(descriptor, os.fstat(descriptor).st_ino)


def _start_of_last(part: _Part, count: int) -> tuple[int, int]:
    """Offset of the last `count` lines of a part after its offset, and how many of them it has."""
    end, seen = part.size(), 0  # newlines
    while end > part.offset:
        begin = max(part.offset, end - CHUNK)
        content = os.pread(part.descriptor, end - begin, begin)
        newline = len(content)
        while (newline := content.rfind(b"\n", 0, newline)) >= 0:
            if seen == count:
                return begin + newline + 1, count
            seen += 1
        end = begin
    return part.offset, seen

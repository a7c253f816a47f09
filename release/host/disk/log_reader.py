"""Read a log line by line while a process writes it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST = 1024 * 1024
"""Bytes that are read at once. A line that is longer is cut: its writer is not trusted with our memory."""


class LogReader:
    """Reads whole lines as they are appended to a file that may be rotated.

    The processes of the application own their logs: what is no regular file there, such as a link to a file
    of ours or a pipe that never ends, counts as empty.
    """

    def __init__(self, path: Path, *, at_end: bool = False) -> None:
        self.path = path
        self.inode, self.offset = 0, 0
        if at_end and path.exists():
            found = path.lstat()
            self.inode, self.offset = found.st_ino, found.st_size

    def lines(self) -> Iterator[str]:
        """Yield the whole lines that were appended since the last call."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return
            if found.st_ino != self.inode:
                self.inode, self.offset = found.st_ino, 0
            file.seek(self.offset)
            while content := file.read(MOST):
                whole, newline, _ = content.rpartition(b"\n")
                if not newline and len(content) < MOST:
                    return
                whole = whole if newline else content
                self.offset += len(whole) + len(newline)
                file.seek(self.offset)
                yield from whole.decode("utf-8", "replace").split("\n")

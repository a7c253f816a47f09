"""Logs of JSON lines: append whole ones to a file that begins anew at a size, read all its parts.

A full disk or a crash leaves no half line.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

BLOCK = 65536  # bytes that are read at once


class LineLog:
    """A file and its earlier parts, PATH.1 (the newest) to PATH.KEEP. Thread-safe.

    Nothing is kept open: what was moved or deleted meanwhile is simply made again.
    """

    def __init__(self, path: Path, largest: int, keep: int) -> None:
        """Begin a new part before one has more than `largest` bytes; keep so many earlier ones."""
        self._path = path
        self._largest = largest
        self._keep = keep
        self._lock = threading.Lock()

    def repair(self) -> None:
        """Cut off what a power cut has left of a last line. Raises OSError."""
        with self._lock, self._opened() as descriptor:
            os.ftruncate(descriptor, _end_of_last_line(descriptor))

    def append(self, line: bytes) -> None:
        """Append a line, which ends with its only line end. Raises OSError, and then nothing is written."""
        with self._lock:
            with self._opened() as descriptor:
                is_full = os.fstat(descriptor).st_size + len(line) > self._largest
            if is_full:
                self._rotate()
            with self._opened() as descriptor:
                _write_whole(descriptor, line)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _rotate(self) -> None:
        parts = [self._path, *(self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(self._keep))]
        for older, newer in zip(reversed(parts), list(reversed(parts))[1:], strict=False):
            if newer.exists():
                newer.rename(older)
        if not self._keep:
            self._path.unlink()


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects in a log and its earlier parts, the oldest first. Raises OSError."""
    numbered = [part for part in path.parent.glob(f"{path.name}.*") if part.suffix[1:].isdecimal()]
    for part in (*sorted(numbered, key=lambda part: int(part.suffix[1:]), reverse=True), path):
        with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
            yield from objects(file)


def objects(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """The objects in lines; one that is still being written is left out."""
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _end_of_last_line(descriptor: int) -> int:
    """Size of the whole lines of a file. Linux reads at most 2 GiB at once, see read(2)."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - BLOCK)
        if (found := os.pread(descriptor, end - start, start).rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write all of `line` or nothing: on a disk that is nearly full, write(2) takes a part."""
    before = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except OSError:
        os.ftruncate(descriptor, before)
        raise

"""What was read from files lately, for as long as they are the same files."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
FileVersion = tuple[int, int]  # of a file's content, if files are replaced and never written to


def file_version(path: str | Path) -> FileVersion | None:
    """Of the file that is there now, None without one."""
    try:
        return version_of_stat(os.stat(path))  # noqa: PTH116 (Path takes longer than the answer to a request may)
    except FileNotFoundError:
        return None


def version_of_stat(found: os.stat_result) -> FileVersion:
    return found.st_mtime_ns, found.st_ino


class ReadCache(Generic[T]):
    """Values by path, the latest ones. Thread-safe."""

    def __init__(self, most: int) -> None:
        """Values that were made of `most` bytes stay."""
        self._most = most
        self._size = 0
        self._values: OrderedDict[str, tuple[FileVersion, int, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, token: FileVersion) -> T | None:
        """What was made of the file with this token."""
        found = self._values.get(path)
        return found[2] if found and found[0] == token else None

    def put(self, path: str, token: FileVersion, size: int, value: T) -> None:
        """`value` was made of a file of `size` bytes."""
        with self._lock:
            self._forget(path)
            self._values[path] = token, size, value
            self._size += size
            while self._size > self._most:
                self._forget(next(iter(self._values)))

    def _forget(self, path: str) -> None:
        found = self._values.pop(path, None)
        self._size -= found[1] if found else 0

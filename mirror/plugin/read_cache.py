"""Values read from files, cached in memory for as long as the files are the same."""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from cachetools import LRUCache

T = TypeVar("T")
FileVersion = tuple[int, int]  # of a file's content, if files are replaced and never written to


def file_version(path: str | Path) -> FileVersion | None:
    """Version of the file that is there now, None without one."""
    try:
        return version_of_stat(os.stat(path))  # noqa: PTH116 (Path takes longer than the answer to a request may)
    except FileNotFoundError:
        return None


def version_of_stat(found: os.stat_result) -> FileVersion:
    """Version of the file that `found` describes."""
    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=4096)
def project_file(folder: Path, index: str, project: str) -> Path:
    """Path of what `folder` has of a project on an index "user/name"; one request needs it a dozen times."""
    return folder / quote(index, "") / quote(project, "")


class ReadCache(Generic[T]):
    """The values used last, by path. Thread-safe."""

    def __init__(self, maxsize: int) -> None:
        """`maxsize`: largest sum of the sizes of all values."""
        self._values: LRUCache[str, tuple[FileVersion, int, T]] = LRUCache(maxsize, lambda value: value[1])
        self._lock = threading.Lock()  # LRUCache moves what it finds

    def get(self, path: str, version: FileVersion) -> T | None:
        """The value read from this version of the file."""
        with self._lock:
            found = self._values.get(path)
        return found[2] if found and found[0] == version else None

    def put(self, path: str, version: FileVersion, size: int, value: T) -> None:
        """Remember a value, unless it alone is larger than the cache."""
        with self._lock:
            self._values.pop(path, None)
            if size <= self._values.maxsize:
                self._values[path] = version, size, value

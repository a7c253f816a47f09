"""Store metadata files of wheels, and which wheels have none, as files named by hashes."""

import contextlib
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from packhorse import files

BROKEN = "broken"
BY_URL = "by-url"


class MetadataStore:
    """A folder of files `ab/<key of the wheel>.<sha256 of the file>`, and what it holds, in memory.

    A file that a power cut left incomplete does not match its name, and is as good as none: all can
    be made again. nginx serves the same files as `by-url/abc/0123456789abc`, which is the part of a
    wheel's URL that its sha256 makes; no such name appears before the file is safe on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        names = (path.name.rpartition(".") for path in folder.glob("*/*.*"))
        self._known = {key: value for key, _, value in names if value == BROKEN or len(value) == 64}

    def sha256(self, key: str) -> str | None:
        """The hash of a metadata file that is here."""
        value = self._known.get(key)
        return None if value == BROKEN else value

    def is_broken(self, key: str) -> bool:
        """Whether this wheel is known to have no usable metadata."""
        return self._known.get(key) == BROKEN

    def known(self, keys: Iterable[str]) -> set[str]:
        """The `keys` that are stored, broken ones included."""
        return self._known.keys() & set(keys)

    def read(self, key: str) -> bytes | None:
        """The metadata file of a wheel, None when it is not here (any more)."""
        sha256 = self.sha256(key)
        if sha256 is None:
            return None
        try:
            content = self._path(key, sha256).read_bytes()
        except FileNotFoundError:
            content = b""
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        self._known.pop(key, None)
        return None

    def keep(self, key: str, content: bytes) -> str:
        """Store the metadata file of a wheel; return its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        self._write(key, sha256, content)
        return sha256

    def keep_broken(self, key: str, reason: str) -> None:
        """Remember that this wheel has none."""
        self._write(key, BROKEN, reason.encode())

    def forget(self, key: str) -> bool:
        """Remove the metadata file of a wheel that is removed itself; whether there was one."""
        sha256 = self.sha256(key)
        if sha256 is None:
            return False
        self._known.pop(key, None)
        (self._folder / BY_URL / key[:3] / key[3:16]).unlink(missing_ok=True)
        self._path(key, sha256).unlink(missing_ok=True)
        return True

    def _write(self, key: str, value: str, content: bytes) -> None:
        if self._known.get(key) == value:
            return
        path = self._path(key, value)
        path.parent.mkdir(exist_ok=True)
        files.write_whole(path, content)
        if value != BROKEN and re.fullmatch(r"[0-9a-f]{64}", key):
            by_url = self._folder / BY_URL / key[:3] / key[3:16]
            by_url.parent.mkdir(parents=True, exist_ok=True)
            by_url.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # by a thread that has found out the same
                by_url.hardlink_to(path)
        self._known[key] = value

    def _path(self, key: str, value: str) -> Path:
        return self._folder / key[-2:] / f"{key}.{value}"

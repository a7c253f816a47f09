"""Store metadata files of wheels, and which wheels have none, by the index and the hash of the wheel."""

import contextlib
import hashlib
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.plugin.simple import file_rows
from packhorse import files

BROKEN = "broken"
BY_INDEX, BY_URL = "by-index", "by-address"


@dataclass(frozen=True)
class WheelKey:
    """A wheel of one index: another index states what it likes under the same hash."""

    index: str  # "root/pypi"
    digest: str  # file_rows.key_of

    @classmethod
    def of(cls, path: str, hashes: Mapping[str, str]) -> "WheelKey | None":
        """The key of the wheel that devpi keeps at `path`, "root/pypi/+f/…"; None without a usable hash."""
        digest = file_rows.key_of(hashes)
        return cls("/".join(path.split("/", 2)[:2]), digest) if digest else None


class MetadataStore:
    """A folder of files `by-index/root/pypi/ab/<digest of the wheel>.<sha256 of the file>`.

    Their names are in memory. A file that a power cut left incomplete does not match its name, and is as
    good as none: all can be made again. nginx serves the same files as
    `by-address/root/pypi/abc/0123456789abc`, the parts of a wheel's URL that its sha256 makes; no such name
    appears before the file is safe on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():  # of a version that stored them without their index
            if other.name not in {BY_INDEX, BY_URL}:
                shutil.rmtree(other, ignore_errors=True)
        self._known: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for user, index, _, name in (path.parts[-4:] for path in folder.glob(f"{BY_INDEX}/*/*/*/*.*")):
            digest, _, value = name.rpartition(".")
            if value == BROKEN or len(value) == 64:
                self._known[f"{user}/{index}"][digest] = value

    def sha256(self, key: WheelKey) -> str | None:
        """The hash of a metadata file that is here."""
        value = self._value(key)
        return None if value == BROKEN else value

    def is_broken(self, key: WheelKey) -> bool:
        """Whether this wheel is known to have no usable metadata."""
        return self._value(key) == BROKEN

    def known(self, digests: Iterable[str]) -> set[str]:
        """The `digests` of which something is stored on any index, broken ones included."""
        wanted = set(digests)
        return {digest for each in list(self._known.values()) for digest in each.keys() & wanted}

    def read(self, key: WheelKey) -> bytes | None:
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
        self._known[key.index].pop(key.digest, None)
        return None

    def keep(self, key: WheelKey, content: bytes) -> str:
        """Store the metadata file of a wheel; return its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        self._write(key, sha256, content)
        return sha256

    def keep_broken(self, key: WheelKey, reason: str) -> None:
        """Remember that this wheel has none."""
        self._write(key, BROKEN, reason.encode())

    def forget(self, key: WheelKey) -> bool:
        """Remove the metadata file of a wheel that is removed itself; whether there was one."""
        sha256 = self.sha256(key)
        if sha256 is None:
            return False
        self._remove(key, sha256)
        return True

    def remove_index(self, index: str) -> None:
        """Remove all of an index that is deleted: the next one of this name may have another upstream."""
        self._known.pop(index, None)
        for kind in (BY_INDEX, BY_URL):
            shutil.rmtree(self._folder / kind / index, ignore_errors=True)

    def _write(self, key: WheelKey, value: str, content: bytes) -> None:
        before = self._value(key)
        if before == value:
            return
        if before:
            self._remove(key, before)
        path = self._path(key, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, content)
        if value != BROKEN and re.fullmatch(r"[0-9a-f]{64}", key.digest):
            by_url = self._by_url(key)
            by_url.parent.mkdir(parents=True, exist_ok=True)
            by_url.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # by a thread that has found out the same
                by_url.hardlink_to(path)
        self._known[key.index][key.digest] = value

    def _remove(self, key: WheelKey, value: str) -> None:
        self._known[key.index].pop(key.digest, None)
        self._by_url(key).unlink(missing_ok=True)
        self._path(key, value).unlink(missing_ok=True)

    def _value(self, key: WheelKey) -> str | None:
        return self._known.get(key.index, {}).get(key.digest)

    def _by_url(self, key: WheelKey) -> Path:
        return self._folder / BY_URL / key.index / key.digest[:3] / key.digest[3:16]

    def _path(self, key: WheelKey, value: str) -> Path:
        return self._folder / BY_INDEX / key.index / key.digest[-2:] / f"{key.digest}.{value}"

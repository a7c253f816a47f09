"""Store what was found out about files, so that nobody looks twice.

<user>%2F<index>/<project>    JSON (policy/evidence.py, Evidence); of a damaged one that alone remains
"""

import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from mirror.plugin import read_cache
from mirror.plugin.policy.evidence import Evidence, License, Provenance
from mirror.plugin.read_cache import FileVersion, ReadCache
from packhorse import files

R = TypeVar("R", Provenance, License)
REMEMBERED = 500  # projects
Changing = Callable[[Iterable[str]], AbstractContextManager[None]]
Found = Sequence[tuple[str, Provenance | License]]  # with the names of files

_decode = msgspec.json.Decoder(Evidence).decode


class EvidenceStore:
    """The records of one server folder; pages of a project are dropped before its record changes."""

    def __init__(self, folder: Path, changing: Changing) -> None:
        self._folder = folder
        self._changing = changing
        self._recent: ReadCache[Evidence] = ReadCache(REMEMBERED)
        self._lock = threading.Lock()

    def version(self, index: str, project: str) -> FileVersion | None:
        """Version of the record; None without one."""
        return read_cache.file_version(self._path(index, project))

    def read(self, index: str, project: str) -> Evidence:
        """All that is known of a normalised project on an index "user/name"."""
        path = self._path(index, project)
        version = read_cache.file_version(path)
        if version is None:
            return Evidence()
        if found := self._recent.get(str(path), version):
            return found
        try:
            found = _decode(path.read_bytes())
        except FileNotFoundError:
            return Evidence()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return Evidence(is_damaged=True)
        self._recent.put(str(path), version, 1, found)
        return found

    def add(self, index: str, project: str, found: Found, pinning: Collection[str] = ()) -> None:
        """Add records. Raises OSError.

        The first of the files `pinning` that verifies says who the publisher is, for those who name none.
        """
        with self._lock:
            before = self.read(index, project)
            provenance = {**before.provenance, **_of_kind(found, Provenance)}
            licenses = {**before.licenses, **_of_kind(found, License)}
            may_pin = {} if before.is_damaged else _of_kind(found, Provenance)
            verified = (
                each.publishers for name, each in may_pin.items() if name in pinning and each.publishers
            )
            pinned = before.pinned or next(verified, ())
            self._write(index, project, Evidence(provenance, licenses, pinned, before.is_damaged))

    def forget_license(self, index: str, project: str, filename: str) -> None:
        """Forget what was read of a wheel, whose metadata are others. Raises OSError."""
        with self._lock:
            before = self.read(index, project)
            if filename in before.licenses:
                kept = {name: each for name, each in before.licenses.items() if name != filename}
                self._write(index, project, msgspec.structs.replace(before, licenses=kept))

    def forget_problem(self, index: str, project: str, filename: str) -> None:
        """Forget that the provenance of a file proved nothing: there is another one. Raises OSError."""
        with self._lock:
            before = self.read(index, project)
            if filename in before.provenance and before.provenance[filename].problem:
                kept = {name: each for name, each in before.provenance.items() if name != filename}
                self._write(index, project, msgspec.structs.replace(before, provenance=kept))

    def remove_index(self, index: str) -> None:
        """Forget an index that is deleted."""
        shutil.rmtree(self._folder / quote(index, ""), ignore_errors=True)

    def _write(self, index: str, project: str, evidence: Evidence) -> None:
        path = self._path(index, project)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}")
        files.write_whole(scratch, msgspec.json.encode(evidence))
        with self._changing([project]):
            scratch.replace(path)

    def _path(self, index: str, project: str) -> Path:
        return read_cache.project_file(self._folder, index, project)


def _of_kind(found: Found, kind: type[R]) -> dict[str, R]:
    return {name: each for name, each in found if isinstance(each, kind)}

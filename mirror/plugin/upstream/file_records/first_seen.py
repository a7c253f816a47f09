"""Records of when this mirror first saw each file of its upstreams, whose own dates are only their word.

    <user>%2F<index>/<project>    compressed JSON: seconds since the epoch -> names of files first seen then

A file is written when something new appears on a page, and never forgotten with the page or the file.
"""

import json
import secrets
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from mirror.plugin import read_cache
from packhorse import files

Times = Mapping[str, list[str]]  # seconds since the epoch, as text -> file names


@dataclass(frozen=True)
class Seen:
    """First-seen times of a project's files; the first page leaves no past to compare with."""

    since: float
    later: Mapping[str, float]
    first: frozenset[str]

    @classmethod
    def of(cls, times: Times) -> "Seen":
        first = min(times, key=float)
        later = {name: float(at) for at, names in times.items() if at != first for name in names}
        return cls(float(first), later, frozenset(times[first]))

    def at(self, filename: str) -> float | None:
        """Seconds since the epoch; None for a file that nobody has noted."""
        return self.since if filename in self.first else self.later.get(filename)


class FirstSeen:
    """The records of one server folder; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, index: str, project: str) -> Seen | None:
        """The record of a project; None without one that is whole."""
        times = self.times(index, project)
        return Seen.of(times) if times else None

    def times(self, index: str, project: str) -> Times:
        """The record as it is stored, empty without one."""
        try:
            found: Times = json.loads(zlib.decompress(self._path(index, project).read_bytes()))
        except (OSError, ValueError, zlib.error):  # missing, or torn by a power cut
            return {}
        return found

    def exists(self, index: str, project: str) -> bool:
        return self._path(index, project).exists()

    def note(self, index: str, project: str, filenames: Iterable[str], now: float) -> None:
        """Note the files that are seen for the first time. Raises OSError."""
        times = self.times(index, project)
        known = {name for names in times.values() for name in names}
        new = [name for name in filenames if name not in known]
        if new:
            # Later than all else, whatever the clock says: what is first is believed more.
            at = f"{max([now, *(float(at) + 0.001 for at in times)]):.3f}"
            self.write(index, project, {**times, at: new})

    def write(self, index: str, project: str, times: Times) -> None:
        """Store a record. Raises OSError."""
        path = self._path(index, project)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = zlib.compress(json.dumps(times, separators=(",", ":")).encode(), 1)
        if path.exists():
            files.write_whole(path, content)
            return
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            scratch.write_bytes(content)  # not synced: to lose it is to see the project for the first time
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)  # of a write that failed: a full disk must not become fuller

    def records(self) -> dict[str, dict[str, Times]]:
        """Index -> project -> record: all of them."""
        found: dict[str, dict[str, Times]] = {}
        for path in sorted(self._folder.glob("*/*")):
            if path.name.startswith("."):  # of a write that was killed
                continue
            index, project = unquote(path.parent.name), unquote(path.name)
            found.setdefault(index, {})[project] = self.times(index, project)
        return found

    def restore(self, records: Mapping[str, Mapping[str, Times]]) -> None:
        """Take over what `records` gave elsewhere."""
        for index, projects in records.items():
            for project, times in projects.items():
                self.write(index, project, times)

    def remove_index(self, index: str) -> None:
        """Forget an index that is deleted: a new one of its name has another upstream."""
        shutil.rmtree(self._folder / quote(index, ""), ignore_errors=True)

    def _path(self, index: str, project: str) -> Path:
        return read_cache.project_file(self._folder, index, project)

"""The file of known vulnerabilities: SQLite, one row for each project, replaced as a whole."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from mirror.advisories.matching import Advisory, KnownVulnerabilities
from packhorse import files
from packhorse.errors import PackhorseError

FORMAT = 1
_UPDATE = "mirror advisories update FILE brings a new one (OSV's export of the ecosystem PyPI, all.zip)."
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[Advisory]).decode


@dataclass(frozen=True)
class About:
    """Facts of a file of advisories. `newest`: the time of the last change of one of them, in UTC."""

    advisories: int
    projects: int
    newest: str  # "2026-01-31T12:00:00Z"

    def days_old(self, now: datetime) -> int:
        """Whole days since the newest advisory was written: a new one comes every day."""
        return (now - datetime.fromisoformat(self.newest)).days


class Database:
    """The advisories at a path; each question opens the file, so that a new one counts at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def about(self) -> About:
        """Read what it holds. Raises PackhorseError when there is none, or none that can be read."""
        with self._open() as connection:
            row = connection.execute("SELECT advisories, projects, newest FROM about").fetchone()
        return About(*row)

    def known(self, projects: Sequence[str]) -> dict[str, KnownVulnerabilities]:
        """The advisories of those of `projects` (normalised) that have any. Raises PackhorseError."""
        found = {}
        with self._open() as connection:
            for project in projects:
                select = "SELECT advisories FROM projects WHERE name = ?"
                if row := connection.execute(select, (project,)).fetchone():
                    found[project] = KnownVulnerabilities(_decode(row[0]))
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            raise self._error("There are no advisories yet.")
        uri = f"file:{quote(str(self.path))}?mode=ro&immutable=1"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
                    raise self._error("The advisories were made by another version of Packhorse.")
                yield connection
        except (sqlite3.Error, msgspec.MsgspecError, TypeError) as error:
            raise self._error(f"The advisories cannot be read: {error}.") from error

    def _error(self, message: str) -> PackhorseError:
        """The path is in the hint alone: clients of the mirror are shown messages."""
        return PackhorseError(message, f"{self.path}: {_UPDATE}")


def write(path: Path, advisories: Mapping[str, Sequence[Advisory]], newest: datetime) -> About:
    """Replace the file at `path` by `advisories` (by project) in one step."""
    count = len({each.id for found in advisories.values() for each in found})
    about = About(count, len(advisories), newest.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT:d}")
        connection.execute("CREATE TABLE about (advisories, projects, newest)")
        connection.execute("CREATE TABLE projects (name TEXT PRIMARY KEY, advisories BLOB) WITHOUT ROWID")
        connection.execute("INSERT INTO about VALUES (:advisories, :projects, :newest)", asdict(about))
        rows = ((name, _encode(found)) for name, found in sorted(advisories.items()))
        connection.executemany("INSERT INTO projects VALUES (?, ?)", rows)
        connection.commit()
        content = connection.serialize()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write_whole(path, content)
    except OSError as error:
        raise PackhorseError(f"{path}: {error.strerror}", "Make room, or name another folder.") from error
    return about

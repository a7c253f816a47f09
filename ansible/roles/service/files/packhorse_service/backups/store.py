"""The backups of one database on this host: a folder of files that are whole, checksummed and for root alone.

A backup is NAME.dump, and NAME.json, which is written last: without it there is no such backup.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from packhorse_service.backups.processes import CHUNK, BackupError

ROOT = Path("/var/backups/packhorse-services")
DATABASE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?")
LARGEST_HEADER = 2**20
REMOVAL = "removal"
FORMAT = "%Y%m%dT%H%M%SZ"
CLOCKS_APART = 300
"""Seconds that the clock of another host may be ahead."""
SMALLEST_FREE = 2**25
"""Bytes of the disk that a backup leaves to others."""


@dataclass(frozen=True)
class Backup:
    """Header of a backup, as in NAME.json; `rows`: table -> number; `why`: timer, hand, removal or import."""

    name: str
    database: str
    kind: str
    version: str
    size: int
    sha256: str
    why: str = "hand"
    rows: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def time(self) -> float:
        """The time in its name: when it was begun."""
        return datetime.strptime(self.name[:16], FORMAT).replace(tzinfo=UTC).timestamp()

    @property
    def is_of_future(self) -> bool:
        """Whether a clock was wrong, or somebody wants it to be the newest for ever."""
        return self.time > time.time() + CLOCKS_APART

    @property
    def summary(self) -> dict[str, Any]:
        """For lists: a database may have thousands of tables."""
        return {**asdict(self), "rows": sum(self.rows.values()), "tables": len(self.rows)}


def checked(found: object) -> Backup:
    """The backup that a header describes, which may come from another host. Raises BackupError."""
    names = {each.name for each in fields(Backup)}  # a later version may have more
    known = {key: value for key, value in found.items() if key in names} if isinstance(found, dict) else {}
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        backup = Backup(**known)
        texts = (backup.kind, backup.version, backup.why, *backup.facts, *backup.facts.values(), *backup.rows)
        if (
            NAME.fullmatch(backup.name)
            and backup.time  # the name is a time
            and DATABASE.fullmatch(backup.database)
            and re.fullmatch(r"[0-9a-f]{64}", backup.sha256)
            and all(isinstance(text, str) for text in texts)
            and all(type(number) is int and number >= 0 for number in (backup.size, *backup.rows.values()))
        ):
            return backup
    raise BackupError("That is no backup of ours: its header is wrong.", "Take another backup.")


def read_header(stream: IO[bytes]) -> Backup:
    """The header of a backup that arrives in `stream`: a line of JSON. Raises BackupError."""
    line = stream.readline(LARGEST_HEADER)
    try:
        return checked(json.loads(line))
    except (ValueError, RecursionError):
        raise BackupError("No backup arrived.", "Look at what the other end says.") from None


@dataclass(frozen=True)
class Store:
    """The folder of the backups of `database`."""

    database: str
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        if not DATABASE.fullmatch(self.database):
            raise BackupError(f"{self.database!r} is no name of a database.")
        return self.root / self.database

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this database; what a killed run has left is removed. Raises BackupError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(
                    f"Another backup or restore of {self.database} is at work.",
                    "Wait for its end, and run the command again.",
                ) from None
            for left in self.folder.glob(".new-*"):
                left.unlink()
            for path in self.folder.glob("*.dump"):
                if not path.with_suffix(".json").exists():
                    path.unlink()
            yield

    def all(self) -> list[Backup]:
        """Its backups, oldest first."""
        found = []
        for path in sorted(
            self.folder.glob("*.json"), key=lambda path: (path.stem[:16], len(path.stem), path.stem)
        ):
            with contextlib.suppress(BackupError, ValueError, OSError):
                backup = checked(json.loads(path.read_bytes()))
                if path.stem == backup.name and self.path(backup).stat().st_size == backup.size:
                    found.append(backup)
        return found

    def path(self, backup: Backup) -> Path:
        return self.folder / f"{backup.name}.dump"

    def newest(self) -> Backup | None:
        """The newest one of what the database was: not of what somebody was about to remove."""
        fitting = [each for each in self.all() if each.why != REMOVAL and not each.is_of_future]
        return fitting[-1] if fitting else None

    def find(self, name: str | None) -> Backup:
        """The backup `name`, None: the newest. Raises BackupError."""
        known = self.all()
        found = next((each for each in known if each.name == name), None) if name else self.newest()
        if found:
            return found
        names = ", ".join(backup.name for backup in known[-5:])
        raise BackupError(
            f"There is no backup {name} of {self.database} here."
            if name
            else f"{self.database} has no backup.",
            f"There are: {names}" if names else "Make one: release services backup SERVICE TARGET",
        )

    def new_name(self) -> str:
        """A name by the time, that is not taken."""
        base = time.strftime(FORMAT, time.gmtime())
        taken = {path.stem for path in self.folder.glob("*.json")}
        return next(name for name in (base, *(f"{base}-{n}" for n in range(1, 1000))) if name not in taken)

    def write(self, fill: "Callable[[Callable[[bytes], object]], Backup]") -> Backup:
        """Store what `fill` writes, whole or not at all; it returns what it was, without size and hash.

        Raises BackupError when the disk is full.
        """
        scratch = self.folder / f".new-{os.getpid()}"
        digest, size = hashlib.sha256(), 0

        def write(data: bytes) -> None:
            nonlocal size
            space = os.statvfs(self.folder)
            if space.f_bavail * space.f_frsize < SMALLEST_FREE + len(data):
                raise OSError(28, "No space left on device")
            file.write(data)
            digest.update(data)
            size += len(data)

        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                made = fill(write)
                file.flush()
                os.fsync(file.fileno())
            backup = replace(made, size=size, sha256=digest.hexdigest())
            scratch.rename(self.path(backup))
            self.write_json(f"{backup.name}.json", asdict(backup))
        except OSError as error:
            raise BackupError(
                f"The backup could not be written to {self.folder}: {error.strerror}.",
                "Make room there: every older backup is as it was.",
            ) from error
        finally:
            scratch.unlink(missing_ok=True)
        return backup

    def write_json(self, name: str, value: object) -> None:
        """Replace the file `name` in one step."""
        scratch = self.folder / f".new-{os.getpid()}.json"
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(self.folder / name)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)

    def note(self, value: dict[str, Any]) -> None:
        """Keep how the last run of the timer has ended, for `noted`."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(OSError):  # a full disk: the unit has failed, and the old note is old
            self.write_json("last.state", value)

    def noted(self) -> dict[str, Any]:
        """Outcome of the last run of the timer: time, ok, error; {} before the first."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "last.state").read_bytes()))
        return {}

    def is_copied(self, backup: Backup) -> bool:
        return (self.folder / f"{backup.name}.copied").exists()

    def mark_copied(self, backup: Backup) -> None:
        (self.folder / f"{backup.name}.copied").touch(mode=0o600)

    def receive(self, stream: IO[bytes]) -> Backup:
        """Store a backup that arrives in `stream` with its header, if it is what that says."""
        header = read_header(stream)

        def fill(write: "Callable[[bytes], object]") -> Backup:
            digest, left = hashlib.sha256(), header.size
            while left and (data := stream.read(min(CHUNK, left))):
                write(data)
                digest.update(data)
                left -= len(data)
            if left or digest.hexdigest() != header.sha256:
                raise BackupError("The backup did not arrive whole.", "Run the command again.")
            why = "foreign" if header.why == "foreign" else "import"  # whose rows nobody has counted
            return replace(header, database=self.database, why=why)

        for backup in self.all():  # of a foreign file, the name is the time at which it was sent
            if backup.sha256 == header.sha256 and (
                backup.name == header.name or backup.why == header.why == "foreign"
            ):
                return backup
        if header.is_of_future or any(backup.name == header.name for backup in self.all()):
            header = replace(header, name=self.new_name())
        return self.write(fill)

    def require_whole(self, backup: Backup) -> None:
        """Raise BackupError unless the file is what was written."""
        digest = hashlib.sha256()
        with self.path(backup).open("rb") as file:
            while data := file.read(CHUNK):
                digest.update(data)
        if digest.hexdigest() != backup.sha256:
            raise BackupError(
                f"{self.path(backup)} is not what was written: its checksum is another one.",
                "Take another backup, and look at that disk.",
            )

    def prune(self, keep: int) -> list[str]:
        """Remove all but the last `keep` of each reason, and return their names.

        The last are those that were written last: names are wrong after a run with the clock ahead.
        """
        removed = []
        known = sorted(self.all(), key=lambda backup: self.path(backup).stat().st_mtime_ns)
        for why in {backup.why for backup in known} - {REMOVAL, "import", "foreign"}:
            for backup in [each for each in known if each.why == why][: -max(1, keep)]:
                for suffix in ("json", "dump", "copied"):  # without .json it is none any more
                    (self.folder / f"{backup.name}.{suffix}").unlink(missing_ok=True)
                removed.append(backup.name)
        return removed

"""The journal: an append-only, fsynced record of what became of every release, and of every command."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GOOD = "good"
FAILED = "failed"
TRIAL = "trial"
"""It serves, but may still be rolled back. reconcile.py ends trials whose deploy was killed."""

PHASE_BEGAN = "phase began"
PHASE_ENDED = "phase ended"
"""Of the release phase, see release_phase.py: no outcomes."""

COMMAND = "command"
"""A command that made no release; `reason` says which. No outcome either."""


@dataclass(frozen=True)
class Entry:
    """One line about release `release`: `state` is one of the constants above, `at` is in UTC (ISO 8601).

    `release` is 0 for a command before the first one.

    `changed`: what is different from the release before it; of the configuration, names only. `artifact`: the
    `Identity` of what was installed, of manifest.py; entries of older versions have none.
    """

    release: int
    state: str
    version: str
    by: str
    at: str
    reason: str = ""
    changed: str = ""
    artifact: dict[str, Any] | None = None


def now() -> str:
    """The current time in the journal's format."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> list[Entry]:
    """All entries, oldest first. A last line that a power cut tore is ignored."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    tables = [json.loads(line) for line in lines if line.endswith(b"\n")]
    known = {field.name for field in fields(Entry)}  # a newer version may have written more
    return [Entry(**{key: value for key, value in table.items() if key in known}) for table in tables]


def append(path: Path, entry: Entry) -> None:
    """Append `entry` durably, also beside another command that does. Raises OSError (a full disk)."""
    line = json.dumps(asdict(entry)).encode() + b"\n"
    with (
        _locked(path.parent),
        os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file,
    ):
        os.fchmod(file.fileno(), 0o600)  # it has command lines, and an earlier version let all read it
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)  # a torn line must not swallow this one
        file.seek(0, os.SEEK_END)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock `folder` for a moment. Not the file in it: the application may open that, and lock it for ever."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def note(path: Path, what: str, by: str, release: int | None) -> None:
    """Append that the command `what` was given, such as "scale web=3"; `release` is the current one.

    Under the lock, before it changes anything, but not when it is refused: one that fails is noted, too.
    """
    append(path, Entry(release or 0, COMMAND, "", by, now(), what))


def shown(entries: Sequence[Entry]) -> list[Entry]:
    """The entries but those of trials that have ended: another one says how."""
    ended = outcomes(entries)
    return [entry for entry in entries if entry.state != TRIAL or ended[entry.release] is entry]


def next_number(entries: Sequence[Entry], folders: Sequence[int]) -> int:
    """The number after all in the journal (pruned releases) and all folders (unfinished ones)."""
    return max([0, *folders, *(entry.release for entry in entries)]) + 1


def outcomes(entries: Sequence[Entry]) -> dict[int, Entry]:
    """Release -> its last outcome."""
    return {entry.release: entry for entry in entries if entry.state in {GOOD, FAILED, TRIAL}}


def states(entries: Sequence[Entry]) -> dict[int, str]:
    """Release -> the state of its last outcome."""
    return {number: entry.state for number, entry in outcomes(entries).items()}


def last_good(entries: Sequence[Entry]) -> int | None:
    """The newest good release: the one that serves, unless another is on trial."""
    good = [number for number, state in states(entries).items() if state == GOOD]
    return max(good, default=None)


def prunable(entries: Sequence[Entry], current: int | None, keep: int, keep_failed: int = 2) -> list[int]:
    """The releases to remove: all but `keep` good ones, `current`, the good one before it, the last failed.

    Decided by recorded state, never by time stamps or by what lies in a folder.
    """
    by_number = states(entries)
    good = sorted(number for number, state in by_number.items() if state == GOOD)
    failed = sorted(number for number, state in by_number.items() if state == FAILED)
    before = [number for number in good if current is not None and number < current]
    retained = {*good[-keep:], *before[-1:], *failed[-keep_failed:], current}
    return sorted(set(by_number) - retained)

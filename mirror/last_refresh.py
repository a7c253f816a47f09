"""The last `mirror refresh`: when it ended, what came, or why it failed; for `mirror status`, /+metrics."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from packhorse import files


@dataclass(frozen=True)
class LastRefresh:
    """Its result; a refresh that failed may have found new versions all the same."""

    at: int  # seconds since 1970
    projects: int = 0  # that it looked for
    new: int = 0  # versions that no refresh before has seen
    problem: str = ""  # why it failed; "" if it did not
    next: float | None = None  # when a timer starts the next one, seconds since 1970; None: no timer is known

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        found = f"{self.new} new versions, {self.projects} projects in use"
        return f"{when}: failed: {self.problem}" if self.problem else f"{when}: {found}"


def read(path: Path) -> LastRefresh | None:
    """The record at `path`; None without one that can be read."""
    try:
        return LastRefresh(**json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError):
        return None


def write(path: Path, found: LastRefresh) -> None:
    """Replace the record, for the server to read also when root looked. Raises OSError."""
    files.write_whole(path, json.dumps(asdict(found)).encode() + b"\n")

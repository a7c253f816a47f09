"""Rows about scheduled jobs, for people."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

HEAD = ("job", "schedule", "state", "last", "next")


def rows(jobs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row for each job of a host; all times are in UTC."""
    for job in jobs:
        due = job["next"]
        after = datetime.fromtimestamp(due, UTC).isoformat(timespec="seconds") if due else "-"
        yield job["job"], job["schedule"], job["state"], job["last"].get("began", "-"), after

"""Read the record of starts and ends of processes that runtime/supervisor.py keeps, without trust in it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packhorse import files

MOST = 2**20
"""Bytes that are read of each part: as many as the supervisor writes into it."""
LONGEST_LINE = 1000
SHORT_LIFE = timedelta(seconds=60)
LOOP = 3
"""So many processes in a row with a short life are a crash loop."""


@dataclass(frozen=True)
class ProcessEvent:
    """A start or an end of process `pid` of `watcher`; `status` is its exit status, -N for signal N.

    `asked`: circus was told to stop it; any other that ends is started again.
    """

    at: datetime
    watcher: str
    pid: int
    ended: bool
    status: int | None
    asked: bool = False


@dataclass(frozen=True)
class History:
    """History of a watcher's processes: restarts in the last hour, and how the last one ended.

    `looping`: its processes end again and again, soon after their start.
    """

    restarts: int
    looping: bool
    status: int | None


def read(logs: Path) -> dict[str, list[ProcessEvent]]:
    """Watcher -> its events, oldest first; {} without a record: an earlier circusd runs."""
    path = logs / "processes.jsonl"
    found: dict[str, list[ProcessEvent]] = {}
    parts = [files.read_end(part, MOST) for part in (path.with_name(f"{path.name}.1"), path)]
    for line in b"".join(parts).splitlines():
        event = parsed(line)
        if event:
            found.setdefault(event.watcher, []).append(event)
    return found


def parsed(line: bytes) -> ProcessEvent | None:
    """The event in a line; None for anything else: the application may write there, too."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        table = json.loads(line)
        at = datetime.fromisoformat(table["at"])
        right = isinstance(table["watcher"], str) and at.tzinfo and type(table["pid"]) is int
        status = table["status"] if type(table["status"]) is int else None
        if right and table["event"] in {"started", "ended"}:
            ended, asked = table["event"] == "ended", table.get("asked") is True
            return ProcessEvent(at, table["watcher"], table["pid"], ended, status, asked)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def history(events: Sequence[ProcessEvent], now: datetime) -> History:
    """The history of one watcher, by its `events`."""
    begun: dict[int, datetime] = {}
    ends: list[tuple[ProcessEvent, timedelta]] = []  # with the time that the process had run for
    for event in events:
        if not event.ended:
            begun[event.pid] = event.at
        elif not event.asked:
            ends.append((event, event.at - begun.get(event.pid, datetime.min.replace(tzinfo=UTC))))
    last = [(event, life) for event, life in ends[-LOOP:] if life <= SHORT_LIFE]
    return History(
        restarts=sum(now - event.at <= timedelta(hours=1) for event, _ in ends),
        looping=len(last) == LOOP and now - last[-1][0].at <= 2 * SHORT_LIFE,
        status=ends[-1][0].status if ends else None,
    )


def now() -> datetime:
    """The time by the clock with which the supervisor writes."""
    return datetime.now(UTC)

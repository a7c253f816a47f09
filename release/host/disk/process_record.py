"""Read the record of starts and ends of processes that runtime/supervisor.py keeps, without trust in it."""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

MOST = 2**20
"""Bytes that are read of each part: as many as the supervisor writes into it."""
LONGEST_LINE = 1000
RESPAWN = timedelta(seconds=5)
"""circus looks for processes that have ended once a second; who starts a process later has other reasons."""
SHORT_LIFE = timedelta(seconds=60)
MOST_ENDS = 1000
LOOP = 3
"""So many processes in a row with a short life are a crash loop."""


@dataclass(frozen=True)
class Event:
    """A start or an end of process `pid` of `watcher`; `status` is its exit status, -N for signal N."""

    at: datetime
    watcher: str
    pid: int
    ended: bool
    status: int | None


@dataclass(frozen=True)
class History:
    """What became of the processes of a watcher: restarts in the last hour, and how the last one ended.

    `looping`: they end again and again, soon after their start.
    """

    restarts: int
    looping: bool
    status: int | None


def read(logs: Path) -> dict[str, list[Event]]:
    """Watcher -> its events, oldest first; {} without a record: an earlier circusd runs."""
    path = logs / "processes.jsonl"
    found: dict[str, list[Event]] = {}
    for line in (_tail(path.with_name(f"{path.name}.1")) + _tail(path)).splitlines():
        event = parsed(line)
        if event:
            found.setdefault(event.watcher, []).append(event)
    return found


def parsed(line: bytes) -> Event | None:
    """The event in a line; None for anything else: the application may write there, too."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        table = json.loads(line)
        at = datetime.fromisoformat(table["at"])
        right = isinstance(table["watcher"], str) and at.tzinfo and type(table["pid"]) is int
        status = table["status"] if type(table["status"]) is int else None
        if right and table["event"] in {"started", "ended"}:
            return Event(at, table["watcher"], table["pid"], table["event"] == "ended", status)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def history(events: Sequence[Event], now: datetime) -> History:
    """The history of one watcher, by its `events`."""
    restarts, status = 0, None
    begun: dict[int, datetime] = {}
    lives: list[timedelta] = []
    ends: list[datetime] = []  # of processes whose successors have not been seen yet
    for event in events:
        if event.ended:
            lives.append(event.at - begun.pop(event.pid, datetime.min.replace(tzinfo=UTC)))
            ends, status = [*ends[-MOST_ENDS:], event.at], event.status
        else:
            begun[event.pid] = event.at
            ends = [end for end in ends if event.at - end <= RESPAWN]
            if ends and now - ends.pop(0) <= timedelta(hours=1):
                restarts += 1
    last_end = max((event.at for event in events if event.ended), default=None)
    last = lives[-LOOP:]
    looping = (
        len(last) == LOOP
        and all(life <= SHORT_LIFE for life in last)
        and last_end is not None
        and now - last_end <= 2 * SHORT_LIFE
    )
    return History(restarts, looping, status)


def now() -> datetime:
    """The time by the clock with which the supervisor writes."""
    return datetime.now(UTC)


def _tail(path: Path) -> bytes:
    """The last MOST bytes of a regular file; b"" for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        file.seek(max(0, file.seek(0, os.SEEK_END) - MOST))
        return file.read(MOST)

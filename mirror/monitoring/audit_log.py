"""Read the audit log: events of all its files by time, filtered, followed, as lines for people."""

import heapq
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mirror import line_log
from packhorse import quantities
from packhorse.errors import PackhorseError

FILES = ("audit.jsonl", "denied.jsonl")  # as mirror/plugin/audit/events.py writes them
EVERY = 0.5  # seconds between two looks for more
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Filter:
    """Conditions on events; None and empty take all."""

    since: str = ""  # as `moment` returns it
    who: str | None = None
    action: str | None = None
    project: str | None = None
    denied: bool = False

    def takes(self, event: Event) -> bool:
        """Whether an event meets them all."""
        return (
            str(event.get("time", "")) >= self.since
            and (self.who is None or self.who in {event.get("who"), event.get("claimed")})
            and self.action in {None, event.get("action")}
            and (not self.denied or event.get("result") == "denied")
            and (self.project is None or _normalized(self.project) in _projects(event))
        )


def moment(text: str, now: datetime | None = None) -> str:
    """The time that `text` means, "90m" ago or a date, in the form of the log. Raises ValueError."""
    try:
        at = (now or datetime.now(UTC)) - timedelta(seconds=quantities.seconds(text))
    except ValueError:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)  # as the log has it
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(folder: Path, wanted: Filter) -> Iterator[Event]:
    """The events that there are, the oldest first. Raises PackhorseError."""
    streams = [_events(folder / name) for name in FILES]
    merged = heapq.merge(*streams, key=lambda event: str(event.get("time", "")))
    return filter(wanted.takes, merged)


def follow(folder: Path, wanted: Filter, sleep: Callable[[float], object] = time.sleep) -> Iterator[Event]:
    """The events that there are, then those that come, without an end."""
    tails = [_Tail(folder / name) for name in FILES]
    yield from read(folder, wanted)
    while True:
        found = [event for tail in tails for event in tail.more()]
        yield from filter(wanted.takes, sorted(found, key=lambda event: str(event.get("time", ""))))
        sleep(EVERY)


def as_line(event: Event) -> str:
    """An event for people."""
    known = dict(event)
    when, action, result = (str(known.pop(key, "-")) for key in ("time", "action", "result"))
    who, client = str(known.pop("who", "-")), str(known.pop("from", "-"))
    more = " ".join(f"{key}={_word(value)}" for key, value in known.items())
    return f"{when}  {result:6}  {action:13}  {who:12}  {client:15}  {more}".rstrip()


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text) if re.search(r"[\s\"=]", text) else text


def _projects(event: Event) -> list[str]:
    """Projects of an event; a token may have several."""
    return [_normalized(name) for name in str(event.get("project")).split(",")]


def _normalized(name: object) -> str:
    return re.sub(r"[-_.]+", "-", str(name)).lower()


def _events(path: Path) -> Iterator[Event]:
    try:
        yield from line_log.read(path)
    except PermissionError as error:
        raise PackhorseError(
            f"{error.filename}: {error.strerror}",
            "Run the command as the user that runs the mirror, or as root.",
        ) from error


class _Tail:
    """The end of a file that may begin anew under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = self._now()
        self._rest = b""

    def more(self) -> Iterator[Event]:
        """The events since the last call."""
        inode, size = self._now()
        if inode != self._inode:
            earlier = self._path.with_name(f"{self._path.name}.1")
            if self._inode and earlier.exists() and earlier.stat().st_ino == self._inode:
                yield from self._read(earlier)
            self._inode, self._position, self._rest = inode, 0, b""
        if size > self._position:
            yield from self._read(self._path)

    def _read(self, path: Path) -> Iterator[Event]:
        with path.open("rb") as file:
            file.seek(self._position)
            content = file.read()
        self._position += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        yield from line_log.objects(lines)

    def _now(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)  # noqa: PTH116 (both at once)
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_size

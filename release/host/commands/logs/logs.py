"""Send the lines of an application's logs in order of time, and follow them over rotations and releases.

What is longer than what the controller takes in time stays on the disk, in files that are held open, up to
HELD bytes for each log; beyond that the oldest is skipped, and the controller is told how much.
"""

import contextlib
import heapq
import os
import queue
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release.host.control.session import Session, StoppedError
from release.host.disk import log_reader, releases
from release.host.disk.layout import Layout
from release.host.disk.log_reader import LogReader, Position
from release.host.formats import log_line
from release.host.processes import circus_ini
from release.host.request import Logs

FOLLOW_INTERVAL = 0.2
HELD = 32 * 2**20
"""Bytes that a log may be behind."""
KEPT = 32 * 2**20
"""Characters of the last lines that are kept in memory until they are sent."""
MOST_LOGS = 200
"""The application could make any number of them, and each takes up to four open files."""
BATCH = 2**18
"""Characters of lines in one event."""
WAITING = 4
"""Events that wait for the controller to take them."""

LogRow = tuple[str, str, str, int | None, bool, str]
"""Key of the order (a time, "" before any), and what is sent: time, name of the log, PID, `goes_on`, text."""


class SelectedLog:
    """One log: the lines that the request selects, in the order of the file."""

    def __init__(self, name: str, path: Path, request: Logs) -> None:
        self.name = name
        self.reader = LogReader(path, at=(request.resume or {}).get(name))
        self.wanted = re.compile(request.grep).search if request.grep else None
        self.since = request.since
        self.key = ""
        self.skipped = 0

    def rows(self, lines: Iterable[bytes], now: str = "") -> Iterator[LogRow]:
        """Yield what is selected of `lines`; `now`: the key of a line without a time."""
        for raw in lines:
            at, pid, goes_on, text = log_line.parse(raw)
            self.key = max(self.key, at or now)  # the clock may have been set back: the order stays
            if at and at < self.since:
                continue
            if self.wanted is None or self.wanted(text):
                yield self.key, at, self.name, pid, goes_on, text

    def present(self, session: Session) -> Iterator[LogRow]:
        """Yield what is selected of what is there now. Raises StoppedError when nobody waits for it."""
        for lines in self.reader.present():
            session.safe_point()
            yield from self.rows(lines)


def run(layout: Layout, request: Logs, _circus: circus_ini.Supervisor, session: Session) -> dict[str, object]:
    """Send the last lines, and what follows. Raises PackhorseError when the application is not here."""
    if request.ago is not None:
        request = replace(request, since=_time(time.time() - request.ago))
    found = names(layout)
    if not found:
        releases.require_current(layout)
    sources = {
        name: SelectedLog(name, layout.log(name), request) for name in found if _selected(name, request)
    }
    session.emit({"event": "logs", "names": found, "now": _time(time.time())})
    if request.resume is None:
        for event in _snapshot(list(sources.values()), request, session):
            session.emit(event)
    if request.follow:
        session.emit({"event": "caught up", "positions": _positions(sources)})
        with contextlib.suppress(StoppedError):
            follow(layout, request, sources, session.emit, session.pause)
    return {}


def names(layout: Layout) -> list[str]:
    """At most MOST_LOGS of the logs that there are, without .log: first of what runs, then of new releases.

    The application may make logs of releases that never were.
    """
    newest = max(releases.numbers(layout), default=sys.maxsize)
    running = {path.stem.replace("+", "") for path in layout.watchers.glob("*.ini")}
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(layout.logs):
            name = entry.name.removesuffix(".log")
            if name != entry.name and (source := log_line.source(name)) and (source[1] or 0) <= newest:
                found[name] = source[1] or 0
    return sorted(found, key=lambda name: (name in running, found[name], name))[-MOST_LOGS:]


def _selected(name: str, request: Logs) -> bool:
    process, release = log_line.source(name) or ("", None)
    if request.release not in {None, release}:
        return False
    return process in request.processes if request.processes else release is not None


def _snapshot(sources: list[SelectedLog], request: Logs, session: Session) -> Iterator[dict[str, Any]]:
    """Yield events with the lines that are there."""
    for source in sources:
        session.safe_point()
        if skipped := source.reader.skip(log_reader.LARGEST):
            yield {"event": "lines", "lines": [], "skipped": {source.name: skipped}}
        if request.since:
            source.reader.leave_out(datetime.fromisoformat(request.since).timestamp())
        if request.lines is not None and not (request.grep or request.since):
            source.reader.go_back(request.lines)
    merged = heapq.merge(*(source.present(session) for source in sources), key=lambda row: row[0])
    if request.lines is None:
        yield from _batches(merged)
        return
    kept: deque[LogRow] = deque()
    size = left_out = 0
    for row in merged:
        kept.append(row)
        size += len(row[-1])
        while len(kept) > request.lines or size > KEPT:
            left_out += len(kept[0][-1]) if len(kept) <= request.lines else 0
            size -= len(kept.popleft()[-1])
    if left_out:
        yield {"event": "lines", "lines": [], "skipped": {"": left_out}}
    yield from _batches(kept)


def _batches(rows: Iterable[LogRow]) -> Iterator[dict[str, Any]]:
    batch: list[tuple[object, ...]] = []
    size = 0
    for row in rows:
        batch.append(row[1:])
        size += 50 + len(row[-1])
        if size > BATCH:
            yield {"event": "lines", "lines": batch}
            batch, size = [], 0
    if batch:
        yield {"event": "lines", "lines": batch}


def follow(
    layout: Layout,
    request: Logs,
    sources: dict[str, SelectedLog],
    emit: Callable[[dict[str, Any]], None],
    pause: Callable[[float], None],
) -> None:
    """Send every new line, also of a newer release, until `pause` raises."""
    waiting: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
    threading.Thread(target=_send, args=(waiting, emit), daemon=True).start()
    while True:
        _refresh(layout, request, sources)
        event = None if waiting.full() else _next_event(sources)
        if event:
            waiting.put(event)
        pause(0 if event else FOLLOW_INTERVAL)


def _send(waiting: "queue.Queue[dict[str, Any]]", emit: Callable[[dict[str, Any]], None]) -> None:
    while True:
        emit(waiting.get())


def _refresh(layout: Layout, request: Logs, sources: dict[str, SelectedLog]) -> None:
    """Open what is new, skip what is too much, forget logs that were removed with their release."""
    there = names(layout)
    for name in there:
        if name not in sources and _selected(name, request):
            sources[name] = SelectedLog(name, layout.log(name), request)
    for name, source in list(sources.items()):
        source.reader.refresh()
        source.skipped += source.reader.skip(HELD)
        if name not in there and not source.reader.unread():
            source.reader.close()
            del sources[name]


def _next_event(sources: Mapping[str, SelectedLog]) -> dict[str, Any] | None:
    """Event with what is new, None when nothing is; what was skipped is told once, None: unknown how much."""
    now, moved = _time(time.time()), False
    rows: list[LogRow] = []
    for source in sources.values():
        if lines := source.reader.lines():
            moved = True
            rows += source.rows(lines, now)
    skipped = {
        name: source.skipped or None
        for name, source in sources.items()
        if source.skipped or source.reader.gap
    }
    for name in skipped:
        sources[name].skipped, sources[name].reader.gap = 0, False
    rows.sort(key=lambda row: row[0])
    sent = [row[1:] for row in rows]
    event = {"event": "lines", "lines": sent, "positions": _positions(sources), "skipped": skipped}
    return event if moved or skipped else None


def _positions(sources: Mapping[str, SelectedLog]) -> dict[str, Position]:
    positions = {name: source.reader.position() for name, source in sources.items()}
    return {name: position for name, position in positions.items() if position}


def _time(seconds: float) -> str:
    """Seconds since 1970 as logs have them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

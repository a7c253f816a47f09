"""Events of the audit log: one line of JSON each, counted, written, and told to who listens."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cachetools import TTLCache
from devpi_server.log import threadlog

from mirror.line_log import LineLog
from mirror.plugin.access import clients
from mirror.plugin.metrics import counters

LONGEST = 200  # characters of a value: names and reasons come from clients
DONE, DENIED = "audit.jsonl", "denied.jsonl"
# Denials of one client that are written: so many at once, then one more each so many seconds.
BURST, SECONDS = 30, 10.0
CLIENTS = 10_000  # that are remembered

Event = dict[str, Any]
Listener = Callable[[Event], None]


class AuditLog:
    """Two files below a folder. Denials have one of their own, which who is denied cannot fill the other by.

    Never raises: an event that cannot be written is counted, and said once in the server's log.
    """

    def __init__(
        self, folder: Path, largest: int, keep: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logs = {name: LineLog(folder / name, largest, keep) for name in (DONE, DENIED)}
        self._clock = clock
        self._lock = threading.Lock()
        self._failing = False
        # When a client has used up its burst is a point in time, as in GCRA (the leaky bucket as a meter).
        self._full_until: TTLCache[str, float] = TTLCache(CLIENTS, ttl=BURST * SECONDS, timer=clock)
        self._left_out: TTLCache[str, int] = TTLCache(CLIENTS, ttl=24 * 3600, timer=clock)

    def repair(self) -> None:
        """Call it once, before the first event."""
        for log in self._logs.values():
            self._try(log.repair)

    def write(self, event: Mapping[str, Any], *, denied: bool) -> None:
        """Write an event."""
        if denied:
            client = clients.client(str(event.get("from")))
            with self._lock:
                if self._is_flood(client):
                    return
                left_out = self._left_out.pop(client, 0)
            event = {**event, "left_out_before": left_out} if left_out else event
        line = json.dumps(event).encode() + b"\n"  # ASCII, without control characters
        self._try(lambda: self._logs[DENIED if denied else DONE].append(line))

    def _is_flood(self, client: str) -> bool:
        now = self._clock()
        until = max(now, self._full_until.get(client, now)) + SECONDS
        if until - now > BURST * SECONDS:
            self._left_out[client] = self._left_out.get(client, 0) + 1
            return True
        self._full_until[client] = until
        return False

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            counters.AUDIT_LOST.inc()
            if not self._failing:
                threadlog.error("the audit log cannot be written: %s", error)
            self._failing = True
        else:
            self._failing = False


_log: AuditLog | None = None
_listeners: list[Listener] = []


def write_to(log: AuditLog) -> None:
    """Write the events of this process to `log`; before that, or without, they are only counted."""
    global _log  # noqa: PLW0603 (one for each process, as the counters)
    _log = log


def listen(listener: Listener) -> None:
    """Call `listener` with each event; it must neither wait nor raise."""
    _listeners.append(listener)


def record(action: str, result: str, **more: Any) -> None:
    """Record that `action` was "ok", "denied" or "failed".

    `more` are keys of the line: who, from, index, project, version, file, detail, rule, and such. Their
    values may be texts of strangers: they are cut, and cannot end the line. Never pass a secret.
    """
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = {key: _shown(value) for key, value in more.items() if value is not None}
    event: Event = {"time": moment, "action": action, "result": result, **known}
    if _log:
        # What somebody without a login tries must not push out what was done.
        is_anonymous = "who" not in known and ("from" in known or result != "ok")
        _log.write(event, denied=result == "denied" or is_anonymous)
    for listener in _listeners:
        listener(event)


def denied(action: str, rule: str, **more: Any) -> None:
    """Count and record a denial. `rule` is a word of ours, or a rule of mirror.toml; it becomes a label."""
    counters.denied(rule)
    record(action, "denied", rule=rule, **more)


def _shown(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""What every host of a target is at in, whose turn it is out: locks, canary, batches, verdict; no action."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

Event = Mapping[str, Any]

GATES = ["lock", "start", "verdict"]
"""Where an agent waits for its turn: before the lock, before anything is started, before it is for good."""
CLOSE: Final[Event] = {}
"""The order to close the agent's stdin: it stops at the next safe point and leaves nothing behind."""
STOPPED = 130
"""The exit code with which an agent says that it stopped because it was told to."""


class At(Enum):
    """Where a host is: what it waits for, or what it was told to do."""

    COMING = auto()
    LOCK = auto()
    LOCKING = auto()
    INSTALLING = auto()
    START = auto()
    STARTING = auto()
    VERDICT = auto()
    COMMITTING = auto()
    LEAVING = auto()  # told to stop or to go back
    ENDED = auto()


_WAITS = {"lock": At.LOCK, "start": At.START, "verdict": At.VERDICT}
_GOES = {"lock": At.LOCKING, "start": At.STARTING, "verdict": At.COMMITTING}
_LOCKLESS = {At.COMING, At.LOCK, At.LOCKING}
_UNTOUCHED = {*_LOCKLESS, At.INSTALLING, At.START}
_TOUCHED = {At.STARTING, At.VERDICT}


@dataclass(frozen=True)
class Host:
    """One host: `version` is what it is about to run, `order` the last that it was sent.

    `last` is its last event, a result or an error, once it has ended.
    """

    name: str
    at: At = At.COMING
    version: str | None = None
    order: Event | None = None
    last: Event | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own, not because it was told to stop."""
        if self.last is None or self.last["event"] != "error" or self.order == CLOSE:
            return False
        return not (self.order and "revert" in self.order and self.last["exit_code"] == STOPPED)


def heard(host: Host, event: Event) -> Host:
    """`host` after it said `event`."""
    version = event.get("version", host.version)
    if event["event"] in {"result", "error"}:
        return replace(host, at=At.ENDED, last=event, version=version)
    if host.at is At.LEAVING:
        return host
    if event["event"] == "gate":
        return replace(host, at=_WAITS[event["name"]], version=version)
    if event["event"] == "step" and event["name"] != "lock" and host.at is At.LOCKING:
        return replace(host, at=At.INSTALLING)
    return host


def told(host: Host, order: Event) -> Host:
    """`host` after it was sent `order`."""
    return replace(host, at=_GOES[order["go"]] if "go" in order else At.LEAVING, order=order)


def trouble(hosts: Sequence[Host]) -> str | None:
    """Why no host may go on, None when all may."""
    for host in hosts:
        if host.failed and host.last:
            return f"{host.name}: {host.last['message']}"
    versions = {host.version: host.name for host in hosts if host.version}
    if len(versions) > 1:
        return f"The hosts would run {', '.join(f'{v} ({name})' for v, name in sorted(versions.items()))}."
    return None


def due(hosts: Sequence[Host], batch: int, stopped: str | None = None) -> dict[str, Event]:
    """The orders that are due now: host -> order. `hosts` as they are written; `stopped`: why all must stop.

    Locks are taken one after the other in sorted order, so that two deployers cannot wait for each other. All
    install at the same time. When every host could start, the first one does: the canary; after it `batch` at
    a time. When all are healthy, all commit; as soon as one fails, all go back to what they were.
    """
    reason = stopped or trouble(hosts)
    if reason:
        closed = {host.name: CLOSE for host in hosts if host.at in _UNTOUCHED}
        return closed | {host.name: {"revert": reason} for host in hosts if host.at in _TOUCHED}
    lockless = sorted((host.name, host.at) for host in hosts if host.at in _LOCKLESS)
    if lockless:
        name, at = lockless[0]
        return {name: {"go": "lock"}} if at is At.LOCK else {}
    if any(host.at is At.INSTALLING for host in hosts):
        return {}
    return _starts(hosts, batch)


def _starts(hosts: Sequence[Host], batch: int) -> dict[str, Event]:
    """Who starts now that all are installed; when all have, everybody's release is for good."""
    waiting = [host.name for host in hosts if host.at is At.START]
    healthy = [host.name for host in hosts if host.at is At.VERDICT]
    starting = sum(host.at is At.STARTING for host in hosts)
    if not waiting and not starting:
        return {name: {"go": "verdict"} for name in healthy}
    room = (batch if healthy else 1) - starting
    return {name: {"go": "start"} for name in waiting[: max(0, room)]}


def stops(hosts: Sequence[Host]) -> dict[str, Event]:
    """The orders that make hosts stop which do not wait at gates."""
    return {host.name: CLOSE for host in hosts if host.at is At.COMING}

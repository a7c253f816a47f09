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


class Stage(Enum):
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


_WAITS = {"lock": Stage.LOCK, "start": Stage.START, "verdict": Stage.VERDICT}
_GOES = {"lock": Stage.LOCKING, "start": Stage.STARTING, "verdict": Stage.COMMITTING}
_LOCKLESS = {Stage.COMING, Stage.LOCK, Stage.LOCKING}
_UNTOUCHED = {*_LOCKLESS, Stage.INSTALLING, Stage.START}
_TOUCHED = {Stage.STARTING, Stage.VERDICT}


@dataclass(frozen=True)
class HostState:
    """One host: `version` is what it is about to run, `order` the last that it was sent.

    `last` is its last event, a result or an error, once it has ended.
    """

    name: str
    at: Stage = Stage.COMING
    version: str | None = None
    order: Event | None = None
    last: Event | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own, not because it was told to stop."""
        if self.last is None or self.last["event"] != "error" or self.order == CLOSE:
            return False
        return not (self.order and "revert" in self.order and self.last["exit_code"] == STOPPED)


def after_event(host: HostState, event: Event) -> HostState:
    """`host` after it said `event`."""
    version = event.get("version", host.version)
    if event["event"] in {"result", "error"}:
        return replace(host, at=Stage.ENDED, last=event, version=version)
    if host.at is Stage.LEAVING:
        return host
    if event["event"] == "gate":
        return replace(host, at=_WAITS[event["name"]], version=version)
    if event["event"] == "step" and event["name"] != "lock" and host.at is Stage.LOCKING:
        return replace(host, at=Stage.INSTALLING)
    return host


def after_order(host: HostState, order: Event) -> HostState:
    """`host` after it was sent `order`."""
    return replace(host, at=_GOES[order["go"]] if "go" in order else Stage.LEAVING, order=order)


def conflict(hosts: Sequence[HostState]) -> str | None:
    """Why no host may go on, None when all may."""
    for host in hosts:
        if host.failed and host.last:
            return f"{host.name}: {host.last['message']}"
    versions = {host.version: host.name for host in hosts if host.version}
    if len(versions) > 1:
        return f"The hosts would run {', '.join(f'{v} ({name})' for v, name in sorted(versions.items()))}."
    return None


def due_orders(hosts: Sequence[HostState], batch: int, stopped: str | None = None) -> dict[str, Event]:
    """The orders that are due now: host -> order. `hosts` as they are written; `stopped`: why all must stop.

    Locks are taken one after the other in sorted order, so that two deployers cannot wait for each other. All
    install at the same time. When every host could start, the first one does: the canary; after it `batch` at
    a time. When all are healthy, all commit; as soon as one fails, all go back to what they were.
    """
    reason = stopped or conflict(hosts)
    if reason:
        closed = {host.name: CLOSE for host in hosts if host.at in _UNTOUCHED}
        return closed | {host.name: {"revert": reason} for host in hosts if host.at in _TOUCHED}
    lockless = sorted((host.name, host.at) for host in hosts if host.at in _LOCKLESS)
    if lockless:
        name, at = lockless[0]
        return {name: {"go": "lock"}} if at is Stage.LOCK else {}
    if any(host.at is Stage.INSTALLING for host in hosts):
        return {}
    return _starts(hosts, batch)


def _starts(hosts: Sequence[HostState], batch: int) -> dict[str, Event]:
    """Who starts now that all are installed; when all have, everybody's release is for good."""
    waiting = [host.name for host in hosts if host.at is Stage.START]
    healthy = [host.name for host in hosts if host.at is Stage.VERDICT]
    starting = sum(host.at is Stage.STARTING for host in hosts)
    if not waiting and not starting:
        return {name: {"go": "verdict"} for name in healthy}
    room = (batch if healthy else 1) - starting
    return {name: {"go": "start"} for name in waiting[: max(0, room)]}


def stop_orders(hosts: Sequence[HostState]) -> dict[str, Event]:
    """The orders that make hosts stop which do not wait at gates."""
    return {host.name: CLOSE for host in hosts if host.at is Stage.COMING}

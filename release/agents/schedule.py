"""Pure rollout scheduler: host states in, due orders out."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final

from packhorse.errors import PackhorseError
from release.agents.connection import STOPPED
from release.host.control.agreement import Offer, counting, decide, differing

Event = Mapping[str, Any]

GATES = ["lock", "agreement", "start", "verdict"]
"""Gates at which an agent waits: before the lock, before it makes a release, starts it, keeps it."""
BALANCED_GATES = ["lock", "agreement", "start", "switch", "verdict"]
"""The same with a balancer, which has the host out from before the switch until it waits for the verdict."""
PLAN_GATES = ["agreement"]
RESTART_GATES = ["start", "verdict"]
LOCK_GATES = ["lock", "start"]
"""Of a command that all hosts carry out or none: see lock.held_on_all_hosts."""
CLOSE: Final[Event] = {}
"""The order to close the agent's stdin: it stops at the next safe point and leaves nothing behind."""


class Stage(Enum):
    """Stage of a host: the gate at which it waits, or the order that it carries out."""

    COMING = auto()
    LOCK = auto()
    LOCKING = auto()
    AGREEMENT = auto()
    INSTALLING = auto()
    START = auto()
    STARTING = auto()
    SWITCH = auto()
    SWITCHING = auto()
    VERDICT = auto()
    COMMITTING = auto()
    LEAVING = auto()  # ordered to stop or to go back
    ENDED = auto()


_WAITS = {
    "lock": Stage.LOCK,
    "agreement": Stage.AGREEMENT,
    "start": Stage.START,
    "switch": Stage.SWITCH,
    "verdict": Stage.VERDICT,
}
_GOES = {
    "lock": Stage.LOCKING,
    "agreement": Stage.INSTALLING,
    "start": Stage.STARTING,
    "switch": Stage.SWITCHING,
    "verdict": Stage.COMMITTING,
}
_LOCKLESS = {Stage.COMING, Stage.LOCK, Stage.LOCKING}
_UNTOUCHED = {*_LOCKLESS, Stage.AGREEMENT, Stage.INSTALLING, Stage.START}
_STARTED = {Stage.STARTING, Stage.SWITCH, Stage.SWITCHING}
_TOUCHED = {*_STARTED, Stage.VERDICT}


@dataclass(frozen=True)
class HostState:
    """One host: `digest` is that of what it is about to start, `order` the last that it was sent.

    `offer` and `content` are its part in the agreement; `last` is its last event, a result or an error, once
    it has ended.
    """

    name: str
    stage: Stage = Stage.COMING
    order: Event | None = field(default=None, repr=False)  # may hold content, too
    last: Event | None = None
    offer: Offer | None = None
    content: Event | None = field(default=None, repr=False)
    digest: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own, not because it was ordered to stop."""
        if self.last is None or self.last["event"] != "error" or self.order == CLOSE:
            return False
        return not (self.order and "revert" in self.order and self.last["exit_code"] == STOPPED)


def after_event(host: HostState, event: Event) -> HostState:
    """`host` after it sent `event`. Raises PackhorseError for an offer that is none."""
    if event["event"] in {"result", "error"}:
        return replace(host, stage=Stage.ENDED, last=event)
    if event["event"] == "content":
        return replace(host, content=event["content"])
    if event["event"] != "gate" or host.stage is Stage.LEAVING:
        return host
    try:
        stage = _WAITS[event["name"]]
        offer = Offer.of_json(event["offer"]) if "offer" in event else host.offer
    except (KeyError, TypeError, ValueError) as error:
        raise PackhorseError(
            f"{host.name}: its agent offers what no agent of ours does: {error!r}.",
            "Look at what runs there.",
        ) from error
    return replace(host, stage=stage, offer=offer, digest=event.get("digest", host.digest))


def after_order(host: HostState, order: Event) -> HostState:
    """`host` after it was sent `order`."""
    return replace(host, stage=_GOES[order["go"]] if "go" in order else Stage.LEAVING, order=order)


def conflict(hosts: Sequence[HostState]) -> str | None:
    """Reason for which no host may go on; None when all may."""
    for host in hosts:
        if host.failed and host.last:
            return f"{host.name}: {host.last['message']}"
    # A host that is alone with its candidate may be compromised, and could give the others its content. In a
    # deploy all were sent the same; in a rollback the user names a release, if need be.
    offers = {host.name: host.offer for host in hosts if host.offer}
    candidates = {candidate: name for name, candidate in counting(offers).items()}
    if len({candidate.release for candidate in candidates} - {None}) > 1:
        each = ", ".join(f"{name} to release {candidate.release}" for candidate, name in candidates.items())
        return f"Hosts disagree on what to go back to: {each}."
    if reason := drift(hosts):
        return reason
    started = {host.digest: host.name for host in hosts if host.digest}
    for different in (started, candidates):
        if len(different) > 1:
            return f"{' and '.join(different.values())} would run different code or configuration."
    return None


def drift(hosts: Sequence[HostState]) -> str | None:
    """The first two hosts on which something else is set by `release config`, and what; None: all agree.

    Those that have nothing yet take what the others have. Two that will have the same do not differ: when one
    was lost in the middle of a change, the same change again makes them equal.
    """
    stating = [
        (host.name, host.offer, host.offer.candidate.digest)
        for host in hosts
        if host.offer and host.offer.rank and host.offer.candidate and host.offer.candidate.release is None
    ]
    for (one, first, will_have), (other, second, same) in itertools.pairwise(stating):
        if will_have != same and (names := differing(first, second)):
            return f"{one} and {other} have another configuration each: {', '.join(names)}."
    return None


def due_orders(
    hosts: Sequence[HostState], batch: int | None, stopped: str | None = None, *, needs_all: bool = True
) -> dict[str, Event]:
    """The orders that are due now: host -> order. `hosts` as they are written; `stopped`: why all must stop.

    Locks are taken one after the other in sorted order, so that two deployers cannot wait for each other.
    Then all agree on the release to make, and install it at the same time. When every host could start, the
    first one does: the canary; after it `batch` at a time. When all are healthy, all commit; as soon as one
    fails, all go back to what they were. Hosts without the gates of an agreement or a verdict go without.
    Without `needs_all`, hosts that could not be asked at all hold up nobody.
    """
    if batch is None:  # hosts without gates, each on its own
        return {host.name: CLOSE for host in hosts if stopped and host.stage is Stage.COMING}
    if not needs_all:
        hosts = [host for host in hosts if host.order or not host.failed]
    reason = stopped or conflict(hosts)
    if reason:
        closed = {host.name: CLOSE for host in hosts if host.stage in _UNTOUCHED}
        return closed | {host.name: {"revert": reason} for host in hosts if host.stage in _TOUCHED}
    lockless = sorted((host.name, host.stage) for host in hosts if host.stage in _LOCKLESS)
    if lockless:
        name, stage = lockless[0]
        return {name: {"go": "lock"}} if stage is Stage.LOCK else {}
    if any(host.stage is Stage.AGREEMENT for host in hosts):
        return _agreements(hosts)
    if any(host.stage is Stage.INSTALLING for host in hosts):
        return {}
    return _starts(hosts, batch)


def _agreements(hosts: Sequence[HostState]) -> dict[str, Event]:
    """The assignments that are due; a host without the content waits until the source has sent it.

    Without anything to go back to the first host is let on, to say so.
    """
    waiting = [host.name for host in hosts if host.stage is Stage.AGREEMENT]
    offers = {host.name: host.offer for host in hosts if host.offer}
    decision = decide(offers)
    if decision is None:
        return {name: {"go": "agreement"} for name in list(offers)[:1] if name in waiting}
    content = next(host.content for host in hosts if host.name == decision.source)
    due = [name for name in waiting if content or name not in decision.lacking]
    return {
        name: {"go": "agreement", "assignment": asdict(decision.assignment(name, content))} for name in due
    }


def _starts(hosts: Sequence[HostState], batch: int) -> dict[str, Event]:
    """Orders to start, once all are installed; when all are healthy, orders to commit."""
    waiting = [host.name for host in hosts if host.stage is Stage.START]
    healthy = [host.name for host in hosts if host.stage is Stage.VERDICT]
    starting = sum(host.stage in _STARTED for host in hosts)
    switches: dict[str, Event] = {host.name: {"go": "switch"} for host in hosts if host.stage is Stage.SWITCH}
    if not waiting and not starting:
        return {name: {"go": "verdict"} for name in healthy}
    done = [host.name for host in hosts if host.stage is Stage.ENDED and host.order == {"go": "start"}]
    room = (batch if healthy or done else 1) - starting
    return switches | {name: {"go": "start"} for name in waiting[: max(0, room)]}


def switching(hosts: Iterable[HostState]) -> list[str]:
    """The hosts that switch now: balancers have them out."""
    return [host.name for host in hosts if host.stage is Stage.SWITCHING]

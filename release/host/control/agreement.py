"""The agreement of all hosts of a target: under which number they make which release.

A release has one number and one content on all hosts. Hosts know different things: one was down for some
deploys, one was installed anew, on one alone a deploy has failed and used up a number. So each makes an offer
when it has the lock, and the controller decides for all.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self

NUMBERS = 1_000_000_000
"""Release numbers are below this: a host that says more is broken, and numbers never go down again."""


class Rank(IntEnum):
    """State of a host: others take code from the highest rank, and configuration where nothing is set."""

    NOTHING = 0
    CONFIG_ONLY = 1
    CODE = 2


@dataclass(frozen=True)
class Candidate:
    """The content that a host would deploy: `digest` tells it from others', and tells nothing about it.

    `release`: the one that a rollback goes back to, which has the content of release `origin`.
    """

    digest: str
    release: int | None = None
    origin: int | None = None


@dataclass(frozen=True)
class Offer:
    """Offer of a host: the `next` number that it never used, and its `candidate`, None if it has none.

    `current` and `running`: the number, and the digest, of the release that serves and is healthy. `config`:
    variable -> digest of its value, as `release config` has set it here. Candidates of the highest `rank`
    count; a host that has NOTHING takes what others have, any other must have the same `config` as they.
    `scale`: how many processes of each type there are (disk/scale.py); None: nobody has said so here.
    """

    next: int
    candidate: Candidate | None
    current: int | None = None
    running: str | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    rank: Rank = Rank.NOTHING
    scale: Mapping[str, Any] | None = None

    @classmethod
    def of_json(cls, table: Mapping[str, Any]) -> Self:
        """The offer that `dataclasses.asdict` made `table` of.

        Raises KeyError, TypeError or ValueError for another: all hosts take the number that one of them says.
        """
        candidate = Candidate(**table["candidate"]) if table["candidate"] else None
        numbers = [table["next"], table["current"]]
        if candidate:
            numbers += [candidate.release, candidate.origin]
        for number in numbers:
            if number is not None and not (type(number) is int and 0 < number < NUMBERS):
                raise ValueError(f"the number {number!r}")
        config = table.get("config", {})
        if not isinstance(config, dict):
            raise TypeError("the configuration")
        rank, scale = Rank(table.get("rank", Rank.NOTHING)), table.get("scale")
        if not isinstance(scale, dict | None):
            raise TypeError("the scale")
        return cls(table["next"], candidate, table["current"], table["running"], config, rank, scale)


@dataclass(frozen=True)
class Assignment:
    """Order to one host: make release `number`, with the content of release `origin` (None: a new one).

    `unchanged`: it runs that already, and does nothing; `joins`: others run it already. `send`: it sends its
    content to the controller, for hosts without it, which find it in `content` as JSON. `scale`: that of the
    others, for a host without any.
    """

    number: int
    origin: int | None = None
    unchanged: bool = False
    joins: bool = False
    send: bool = False
    content: Mapping[str, Any] | None = field(default=None, repr=False)
    scale: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Agreement:
    """The decision: `number`, and the `candidate` of host `source`; those who run it are `unchanged`.

    Hosts that are `lacking` have no such content: they get that of the source. `scale` is that of the first
    host that has one.
    """

    number: int
    source: str
    candidate: Candidate
    unchanged: AbstractSet[str]
    lacking: AbstractSet[str]
    scale: Mapping[str, Any] | None = None

    def assignment(self, name: str, content: Mapping[str, Any] | None = None) -> Assignment:
        """The part of host `name`; `content` is the source's, if it has sent it."""
        return Assignment(
            number=self.number,
            origin=self.candidate.origin,
            unchanged=name in self.unchanged,
            joins=bool(self.unchanged - {name}),
            send=name == self.source and bool(self.lacking),
            content=content if name in self.lacking else None,
            scale=self.scale,
        )


def counting(offers: Mapping[str, Offer]) -> dict[str, Candidate]:
    """Host -> its candidate, of those that have one of the highest rank."""
    highest = max((offer.rank for offer in offers.values() if offer.candidate), default=0)
    return {
        name: offer.candidate for name, offer in offers.items() if offer.candidate and offer.rank == highest
    }


def differing(one: Offer, other: Offer) -> list[str]:
    """The variables that are set on one of two hosts only, or to something else."""
    names = one.config.keys() | other.config.keys()
    return sorted(str(name) for name in names if one.config.get(name) != other.config.get(name))


def decide(offers: Mapping[str, Offer]) -> Agreement | None:
    """Decide for all hosts by their `offers`, in the order of the target; None: no host has a candidate.

    Hosts whose candidates count have the same, else the controller stops (schedule.conflict); all without it
    get that of the first one. Who runs the content already is left alone when all others can take its number.
    """
    candidates = counting(offers)
    if not candidates:
        return None
    source = next(iter(candidates))
    digest = candidates[source].digest
    running = {name for name, offer in offers.items() if offer.running == digest}
    numbers = {offers[name].current for name in running}
    free = max((offer.next for name, offer in offers.items() if name not in running), default=0)
    if len(numbers) == 1 and (number := numbers.pop()) and number >= free:
        unchanged = running
    else:
        number, unchanged = max(offer.next for offer in offers.values()), set()
    having = {name for name, offer in offers.items() if offer.candidate and offer.candidate.digest == digest}
    lacking = offers.keys() - having - unchanged
    scale = next((offer.scale for offer in offers.values() if offer.scale), None)
    return Agreement(number, source, candidates[source], unchanged, lacking, scale)

"""Find the advisories that affect a version: OSV's evaluation, with versions in the order of PEP 440."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from packaging.version import InvalidVersion, Version

from mirror.advisories import severity

Event = tuple[str, str]  # ("introduced" | "fixed" | "last_affected" | "limit", a version)
_ORDER = ("introduced", "last_affected", "fixed")  # of events at the same version, as OSV's own server has it


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One project of an OSV record. `versions` are those affected outside of `ranges`."""

    id: str
    aliases: tuple[str, ...] = ()
    severity: str = severity.UNKNOWN
    score: float | None = None  # CVSS
    summary: str = ""
    ranges: tuple[tuple[Event, ...], ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Its id and those that other databases gave the same vulnerability."""
        return {self.id, *self.aliases}


@dataclass(frozen=True)
class Finding:
    """A vulnerability of a version, whichever databases have it. `fixed_in`: the next version without it."""

    id: str
    aliases: tuple[str, ...]
    severity: str
    score: float | None
    fixed_in: str | None
    summary: str

    @property
    def names(self) -> set[str]:
        """All ids of the vulnerability."""
        return {self.id, *self.aliases}

    def as_json(self) -> dict[str, Any]:
        """The vulnerability for scripts; keys are only ever added."""
        return {**asdict(self), "aliases": list(self.aliases)}


class KnownVulnerabilities:
    """The advisories of one project, prepared for the question which of them affect a version.

    The ranges cannot tell versions apart between which no bound of theirs lies: a page of thousands of files
    costs one search among the bounds for each version, and one evaluation for each gap.
    """

    def __init__(self, advisories: Iterable[Advisory]) -> None:
        self._groups = [_Group(each) for each in _by_vulnerability(advisories)]
        self._bounds = sorted({bound for group in self._groups for bound in group.bounds})
        self._listed = {version for group in self._groups for version in group.versions}
        self._known: dict[object, list[Finding]] = {}

    def __bool__(self) -> bool:
        """Whether there is any advisory."""
        return bool(self._groups)

    def find(self, version: str) -> list[Finding]:
        """The vulnerabilities of `version`, the most severe first; [] of one that is not affected.

        A local version (`1.0+acme`) counts as the public one of which it was made. What is no version of
        PEP 440 counts as older than all others.
        """
        parsed = _parse(version)
        exact = parsed if parsed is not None else version
        gap = (bisect_left(self._bounds, parsed), bisect_right(self._bounds, parsed)) if parsed else (0, 0)
        key = exact if exact in self._listed else gap
        if key not in self._known:
            self._known[key] = self._evaluate(exact)
        return self._known[key]

    def _evaluate(self, version: Version | str) -> list[Finding]:
        found = [group.finding(version) for group in self._groups if group.affects(version)]
        ranks = ("critical", "high", severity.UNKNOWN, "medium", "low")
        return sorted(found, key=lambda each: (ranks.index(each.severity), each.id))


class _Group:
    """The advisories about one vulnerability, of one or several databases."""

    def __init__(self, advisories: Sequence[Advisory]) -> None:
        self._advisories = advisories
        self._ranges = [_Range(events) for each in advisories for events in each.ranges]
        self.versions = {_exact(version) for each in advisories for version in each.versions}
        self.bounds = {bound for each in self._ranges for bound in each.bounds}

    def affects(self, version: Version | str) -> bool:
        return version in self.versions or any(each.contains(version) for each in self._ranges)

    def finding(self, version: Version | str) -> Finding:
        names = sorted(set[str]().union(*(each.names for each in self._advisories)), key=_rank)
        fixes = sorted({bound for each in self._ranges for bound in each.fixes})
        later = (bound for bound in fixes if isinstance(version, str) or bound > version)
        summaries = [each.summary for each in self._advisories if each.summary]
        return Finding(
            id=next(name for name in names if name in {each.id for each in self._advisories}),
            aliases=tuple(name for name in names if name not in self._chosen(names)),
            severity=severity.highest(each.severity for each in self._advisories),
            score=max((each.score for each in self._advisories if each.score is not None), default=None),
            fixed_in=next((str(bound) for bound in later if not self.affects(bound)), None),
            summary=min(summaries, key=len, default=""),
        )

    def _chosen(self, names: Sequence[str]) -> Sequence[str]:
        ids = {each.id for each in self._advisories}
        return [name for name in names if name in ids][:1]


class _Range:
    """The events of a range of type ECOSYSTEM. "0" is before all versions; so is a bound that is none."""

    def __init__(self, events: Iterable[Event]) -> None:
        known = [(kind, _parse(bound) if bound != "0" else None) for kind, bound in events]
        self._limits = [bound for kind, bound in known if kind == "limit"]
        self._from_start = any(kind == "introduced" and bound is None for kind, bound in known)
        # What has no place in the order ends nothing: better too much is reported than too little.
        self._events = sorted(
            ((bound, _ORDER.index(kind)) for kind, bound in known if bound is not None and kind in _ORDER)
        )
        self.bounds = {bound for _, bound in known if bound is not None}
        self.fixes = {bound for bound, kind in self._events if _ORDER[kind] == "fixed"}

    def contains(self, version: Version | str) -> bool:
        """Evaluate the range as the specification does (`IncludedInRanges`, `BeforeLimits`)."""
        if isinstance(version, str):  # older than all
            return self._from_start
        if self._limits and not any(limit is None or version < limit for limit in self._limits):
            return False
        inside = self._from_start
        for bound, kind in self._events:
            if _ORDER[kind] == "introduced":
                inside = inside or version >= bound
            elif version > bound or (version == bound and _ORDER[kind] == "fixed"):
                inside = False
        return inside


def _by_vulnerability(advisories: Iterable[Advisory]) -> list[list[Advisory]]:
    """Put those together that share an id: databases copy from each other."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in advisories:
        names, members = advisory.names, [advisory]
        for group in [each for each in groups if not names.isdisjoint(each[0])]:
            groups.remove(group)
            names, members = names | group[0], group[1] + members
        groups.append((names, members))
    return [members for _, members in groups]


def _rank(name: str) -> tuple[int, str]:
    """Ids in the order of preference: Python's own database, GitHub's, all others, CVE."""
    kinds = ("MAL", "PYSEC", "GHSA", "", "CVE")
    kind = name.partition("-")[0]
    return kinds.index(kind if kind in kinds else ""), name


def _parse(version: str) -> Version | None:
    """The public version, None for what is no version of PEP 440."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    return Version(parsed.public) if parsed.local else parsed


def _exact(version: str) -> Version | str:
    return _parse(version) or version

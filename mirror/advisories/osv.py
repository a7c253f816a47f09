"""Parse an OSV record (schema 1.7) into advisories, one for each PyPI project that it names."""

import re
from collections.abc import Iterator, Sized
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from mirror.advisories import severity
from mirror.advisories.matching import Advisory, Event, KnownVulnerabilities

LARGEST = 4 * 2**20  # bytes of a record
MOST_VERSIONS, MOST_PARTS = (
    20_000,
    1000,
)  # of a record; parts are all others: some are compared with each other
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_PROJECT = re.compile(r"[a-z0-9]([a-z0-9-]{0,253}[a-z0-9])?")
_LONGEST_SUMMARY, _LONGEST_VERSION = 200, 100


class InvalidRecordError(ValueError):
    """A file is no OSV record; says why."""


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    type: str
    events: list[_Event] = []


class _Package(msgspec.Struct):
    ecosystem: str
    name: str


class _Severity(msgspec.Struct):
    type: str
    score: str


class _Affected(msgspec.Struct):
    package: _Package | None = None
    severity: list[_Severity] | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None
    database_specific: Any = None
    ecosystem_specific: Any = None


class _Record(msgspec.Struct):
    """The fields of a record that count here (OSV schema 1.7)."""

    id: str
    modified: str = ""
    withdrawn: str | None = None
    aliases: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    database_specific: Any = None


_decode = msgspec.json.Decoder(_Record).decode


def parse(content: bytes) -> tuple[str, dict[str, Advisory]]:
    """Time of the record's last change, and its advisories by project; none of one that was withdrawn.

    Raises InvalidRecordError.
    """
    if len(content) > LARGEST:
        raise InvalidRecordError(f"more than {LARGEST} bytes")
    try:
        record = _decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRecordError(str(error)) from error
    if not _ID.fullmatch(record.id):
        raise InvalidRecordError("its id is no identifier")
    _limit(record)
    found: dict[str, Advisory] = {}
    for affected in (record.affected or []) if not record.withdrawn else []:
        project = _project(affected)
        if project:
            found[project] = _joined(found.get(project), _advisory(record, affected))
    return record.modified, found


def _limit(record: _Record) -> None:
    """Raise InvalidRecordError for one that would take minutes, or much more memory than it has bytes."""
    entries = record.affected or []
    ranges = [each for entry in entries for each in entry.ranges or []]
    severities = [*(record.severity or []), *(each for entry in entries for each in entry.severity or [])]
    events = [event for each in ranges for event in each.events]
    parts: tuple[Sized, ...] = (entries, ranges, events, severities, record.aliases or ())
    if sum(map(len, parts)) > MOST_PARTS:
        raise InvalidRecordError(f"more than {MOST_PARTS} entries, ranges, events, aliases and severities")
    if sum(len(entry.versions or []) for entry in entries) > MOST_VERSIONS:
        raise InvalidRecordError(f"more than {MOST_VERSIONS} versions")


def _project(affected: _Affected) -> str | None:
    """The normalised name of a project of PyPI's; None for another ecosystem. Raises InvalidRecordError."""
    if affected.package is None or affected.package.ecosystem.partition(":")[0] != "PyPI":
        return None
    project = canonicalize_name(affected.package.name)
    if not _PROJECT.fullmatch(project):
        raise InvalidRecordError("it names a project that can have no such name")
    return project


def _advisory(record: _Record, affected: _Affected) -> Advisory:
    ranges = tuple(tuple(_events(each)) for each in affected.ranges or [] if each.type == "ECOSYSTEM")
    level, number = _severity(record, affected)
    text = " ".join((record.summary or record.details or "")[: 10 * _LONGEST_SUMMARY].split())
    advisory = Advisory(
        id=record.id,
        aliases=tuple(sorted({alias for alias in record.aliases or [] if _ID.fullmatch(alias)})),
        severity=level,
        score=number,
        summary=text if len(text) <= _LONGEST_SUMMARY else f"{text[: _LONGEST_SUMMARY - 1]}…",
        ranges=ranges,
    )
    # Most records list each version that is in their ranges, too: hundreds, to be kept for nothing.
    known = KnownVulnerabilities([advisory])
    versions = [version for version in affected.versions or [] if len(version) <= _LONGEST_VERSION]
    outside = tuple(version for version in versions if not known.find(version))
    return msgspec.structs.replace(advisory, versions=outside)


def _events(found: _Range) -> Iterator[Event]:
    for event in found.events:
        for kind in ("introduced", "fixed", "last_affected", "limit"):
            bound = getattr(event, kind)
            if bound is not None:
                yield kind, bound[:_LONGEST_VERSION]


def _severity(record: _Record, affected: _Affected) -> tuple[str, float | None]:
    if record.id.startswith("MAL-"):  # a package made to do harm, of the database of malicious packages
        return "critical", None
    stated = [*(record.severity or []), *(affected.severity or [])]
    scores = [number for each in stated if (number := severity.score(each.type, each.score)) is not None]
    places = (record.database_specific, affected.database_specific, affected.ecosystem_specific)
    words = [place.get("severity") for place in places if isinstance(place, dict)]
    levels = [*map(severity.level_of_score, scores), *(severity.level_of_word(word) for word in words)]
    return severity.highest(level for level in levels if level), max(scores, default=None)


def _joined(before: Advisory | None, more: Advisory) -> Advisory:
    """A record may have several entries for one project, each with versions of its own."""
    if before is None:
        return more
    return msgspec.structs.replace(
        more,
        severity=severity.highest([before.severity, more.severity]),
        score=max((each for each in (before.score, more.score) if each is not None), default=None),
        ranges=before.ranges + more.ranges,
        versions=tuple(dict.fromkeys(before.versions + more.versions)),
    )

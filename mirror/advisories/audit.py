"""Compare what a lock pins, or an index holds, with the known vulnerabilities; report what is affected."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror.advisories import severity
from mirror.advisories.database import About, Database
from mirror.advisories.matching import Finding
from mirror.advisories.settings import Advisories, Ignored
from packhorse import filenames


@dataclass(frozen=True, order=True)
class Package:
    """A version of a normalised project."""

    project: str
    version: str


@dataclass(frozen=True)
class Affected:
    """A vulnerability of a package, and where that was found; `expired`: the entry that ignored it before."""

    package: Package
    finding: Finding
    sources: tuple[str, ...]
    ignored: Ignored | None = None
    expired: Ignored | None = None


@dataclass(frozen=True)
class AuditReport:
    """The result: `affected` counts, `ignored` does not; what is below the asked severity is in neither."""

    about: About
    days_old: int
    is_old: bool
    packages: int
    affected: list[Affected] = field(default_factory=list)
    ignored: list[Affected] = field(default_factory=list)


def audit(
    packages: Mapping[Package, Iterable[str]],
    database: Database,
    settings: Advisories,
    least: str,
    now: datetime,
) -> AuditReport:
    """Look up `packages` (with the places that each was found in), down to the severity `least`.

    Raises PackhorseError when there are no advisories: silence would look like safety.
    """
    about = database.about()
    known = database.known(sorted({package.project for package in packages}))
    days = about.days_old(now)
    report = AuditReport(about, days, days > settings.max_days_old, len(packages))
    today = now.astimezone(UTC).date()
    for package in sorted(packages):
        for finding in known[package.project].find(package.version) if package.project in known else ():
            if not severity.reaches(finding.severity, least):
                continue
            ignored = settings.ignored(finding.names, today)
            found = Affected(
                package,
                finding,
                tuple(packages[package]),
                ignored,
                None if ignored else settings.expired(finding.names, today),
            )
            (report.ignored if ignored else report.affected).append(found)
    return report


def held(files: Path) -> Iterator[Package]:
    """The versions that have a wheel or sdist below `files`, the folder of an index (`+files/user/name`)."""
    for _, _, names in os.walk(files):
        for name in names:
            if found := filenames.parse(name):
                yield Package(found.project, str(found.version))


def as_json(report: AuditReport) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    return {
        "advisories": {
            "count": report.about.advisories,
            "newest": report.about.newest,
            "days_old": report.days_old,
            "is_old": report.is_old,
        },
        "packages": report.packages,
        "affected": [_affected_as_json(each) for each in report.affected],
        "ignored": [_affected_as_json(each) for each in report.ignored],
    }


def _affected_as_json(each: Affected) -> dict[str, Any]:
    ignored = (
        {"until": str(each.ignored.until or "") or None, "reason": each.ignored.reason}
        if each.ignored
        else None
    )
    package = {"name": each.package.project, "version": each.package.version}
    return {**package, **each.finding.as_json(), "sources": list(each.sources), "ignored": ignored}


def as_text(report: AuditReport) -> str:
    """The report for people, without a final newline: what is affected first, the count last."""
    lines = [line for each in report.affected for line in _lines(each)]
    return "\n".join([*lines, *([""] if lines else []), _count(report)])


def _lines(each: Affected) -> Iterator[str]:
    finding = each.finding
    score = f" {finding.score:g}" if finding.score is not None else ""
    rated = "severity unknown" if finding.severity == severity.UNKNOWN else f"{finding.severity}{score}"
    fixed = f"fixed in {finding.fixed_in}" if finding.fixed_in else "no fix is known"
    yield f"{each.package.project} {each.package.version}: {rated}, {fixed}"
    yield f"    {', '.join([finding.id, *finding.aliases])}"
    if finding.summary:
        yield f"    {finding.summary}"
    if each.expired:
        yield f"    was ignored until {each.expired.until}" + _reason(each.expired)
    yield f"    in {', '.join(each.sources)}"


def _reason(entry: Ignored) -> str:
    return f": {entry.reason}" if entry.reason else ""


def _count(report: AuditReport) -> str:
    """`2 of 120 packages are affected, by 3 vulnerabilities (1 critical, 2 high); 1 more is ignored`."""
    ignored = f"; {len(report.ignored)} ignored" if report.ignored else ""
    if not report.affected:
        return f"none of {report.packages} packages is affected{ignored}"
    hit = len({each.package for each in report.affected})
    counted = Counter(each.finding.severity for each in report.affected)
    order = [level for level in (*reversed(severity.LEVELS), severity.UNKNOWN) if level in counted]
    kinds = ", ".join(f"{counted[level]} {level}" for level in order)
    found = f"{len(report.affected)} {'vulnerability' if len(report.affected) == 1 else 'vulnerabilities'}"
    verb = "is" if hit == 1 else "are"
    return f"{hit} of {report.packages} packages {verb} affected, by {found} ({kinds}){ignored}"

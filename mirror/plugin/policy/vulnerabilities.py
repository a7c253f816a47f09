"""Rule by known vulnerabilities: versions that have one, from a severity on, are denied, or reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from mirror.advisories import severity
from mirror.advisories.matching import Finding, KnownVulnerabilities
from mirror.plugin.policy.evaluation import Fact, Judge, Refusal
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple import filenames


@dataclass(frozen=True)
class Ignored:
    """A vulnerability that counts for nothing, by one of its ids, before the day `until`."""

    id: str
    until: date | None = None

    def holds(self, names: set[str], today: date) -> bool:
        """Whether a vulnerability with these ids is ignored on this day."""
        return self.id in names and (self.until is None or today < self.until)


class Vulnerabilities:
    """Versions with a vulnerability of at least this severity, or of an unknown one."""

    name, judges_uploads = "vulnerabilities", False
    decides_by: tuple[Fact, ...] = ("advisories",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """`value`: {"least": "high", "report": "low", "ignore": [{"id": …, "until": "2027-01-01" or null}]}.

        Each of the two levels may be None; those before there were reports have no "report".
        """
        self._least, self._report = value["least"], value.get("report")
        for level in (self._least, self._report):
            if level is not None and level not in severity.LEVELS:
                raise ValueError(f"{level!r} is no severity")
        self._ignored = ignored(value)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:
        """Most projects have no advisory: nobody looks at their files then."""
        return self._judge(self._least, project, now)

    def reports(self, project: ProjectFacts, now: float) -> Judge | None:
        """Judge of vulnerabilities that are reported and not denied."""
        return self._judge(self._report, project, now)

    def _judge(self, least: str | None, project: ProjectFacts, now: float) -> Judge | None:
        if least is None:
            return None
        if project.vulnerabilities is None:
            raise ValueError("no advisories are at hand")
        known = project.vulnerabilities()
        if not known:
            return None
        first = lru_cache(maxsize=None)(self._first(least, known, datetime.fromtimestamp(now, UTC).date()))

        def judge(file: FileFacts) -> Refusal | None:
            version = filenames.version_for(project.name, file.filename)
            finding = first(version or "")
            return _refusal(project.name, version, finding) if finding else None

        return judge

    def _first(self, least: str, known: KnownVulnerabilities, today: date) -> Callable[[str], Finding | None]:
        """The most severe vulnerability of a version that counts."""

        def find(version: str) -> Finding | None:
            for finding in known.find(version):
                is_ignored = any(each.holds(finding.names, today) for each in self._ignored)
                if not is_ignored and severity.reaches(finding.severity, least):
                    return finding
            return None

        return find

    def describe(self) -> str:
        but = f"; ignored: {', '.join(each.id for each in self._ignored)}" if self._ignored else ""
        what = (("are not listed", self._least), ("are reported", self._report))
        words = (f"of severity {level} or more {done}" for done, level in what if level)
        return f"versions with a known vulnerability {', '.join(words)}{but}"


def ignored(value: Mapping[str, Any]) -> Sequence[Ignored]:
    """The vulnerabilities that a value of this rule ignores. Raises errors for what is none."""
    return tuple(
        Ignored(str(each["id"]), date.fromisoformat(each["until"]) if each["until"] else None)
        for each in value["ignore"]
    )


def _refusal(project: str, version: str | None, finding: Finding) -> Refusal:
    rated = "of unknown severity" if finding.severity == severity.UNKNOWN else finding.severity
    fixed = f"take {finding.fixed_in} or later" if finding.fixed_in else "no fix is known"
    also = f", {', '.join(finding.aliases[:3])}" if finding.aliases else ""
    return Refusal(
        f"{project} {version or '(which version is unknown)'} has {finding.id}{also} ({rated}); {fixed}"
    )


def build(value: Any) -> Vulnerabilities | None:
    """The rule; None where mirror.toml asks for none, and only says what is ignored."""
    rule = Vulnerabilities(value)
    return rule if value["least"] is not None or value.get("report") is not None else None

"""Rule by known vulnerabilities: files of versions that have one, from a severity on, are not listed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from mirror.advisories import severity
from mirror.advisories.matching import Finding, KnownVulnerabilities
from mirror.plugin.policy.evaluation import Judge, Refusal
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

    def __init__(self, value: Mapping[str, Any]) -> None:
        """`value`: {"least": "high", "ignore": [{"id": …, "until": "2027-01-01" or null}]}."""
        self._least = value["least"]
        if self._least not in severity.LEVELS:
            raise ValueError(f"{self._least!r} is no severity")
        self._ignored = ignored(value)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:
        """Most projects have no advisory: nobody looks at their files then."""
        if project.vulnerabilities is None:
            raise ValueError("no advisories are at hand")
        known = project.vulnerabilities()
        if not known:
            return None
        first = lru_cache(maxsize=None)(self._first(known, datetime.fromtimestamp(now, UTC).date()))

        def judge(file: FileFacts) -> Refusal | None:
            version = filenames.version_for(project.name, file.filename)
            finding = first(version or "")
            return _refusal(project.name, version, finding) if finding else None

        return judge

    def _first(self, known: KnownVulnerabilities, today: date) -> Callable[[str], Finding | None]:
        """The most severe vulnerability of a version that counts."""

        def find(version: str) -> Finding | None:
            for finding in known.find(version):
                is_ignored = any(each.holds(finding.names, today) for each in self._ignored)
                if not is_ignored and severity.reaches(finding.severity, self._least):
                    return finding
            return None

        return find

    def describe(self) -> str:
        but = f"; ignored: {', '.join(each.id for each in self._ignored)}" if self._ignored else ""
        return f"versions with a known vulnerability of severity {self._least} or more are not listed{but}"


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
    return Vulnerabilities(value) if value["least"] is not None else None

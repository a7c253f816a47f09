"""Rule that files of some projects are listed only with a provenance that verifies (PEP 740)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from mirror.decision_summary import PENDING
from mirror.plugin.policy import evidence
from mirror.plugin.policy.evaluation import Fact, Judge, Refusal
from mirror.plugin.policy.evidence import AttestedPublisher, Kind, Wanted
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.policy.names import Named

_OLDEST = Version("0.dev0")


@dataclass(frozen=True)
class Expected:
    """The projects and versions of which a provenance is required, and whose.

    Without a `publisher`, the one of the first file that was verified here.
    """

    named: Named
    publisher: AttestedPublisher | None

    def has(self, found: AttestedPublisher, pinned: Sequence[AttestedPublisher]) -> bool:
        """Whether files of this publisher pass."""
        if self.publisher is None:
            return found in pinned
        return all(_same(found.get(key), value) for key, value in self.publisher.items())

    def __str__(self) -> str:
        return f"{self.named} of {in_words(self.publisher) if self.publisher else 'the first publisher seen'}"


class RequireProvenance:
    """Files of these projects must have attestations that verify for an expected publisher."""

    name, judges_uploads = "require_provenance", False
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, value: Sequence[Mapping[str, Any]]) -> None:
        """`value`: [{"project": "demo>=2", "publisher": {"kind": "GitHub", …} or null}]."""
        self._expected = [Expected(Named.parse(each["project"]), each["publisher"]) for each in value]

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        mine = self._of(project)
        if not mine:
            return None

        def judge(file: FileFacts) -> Refusal | None:
            meant = [each for each in mine if each.named.has_version(file) is not False]
            return _refusal(file, meant) if meant else None

        return judge

    def wanted(
        self, project: ProjectFacts, files: Callable[[], Sequence[FileFacts]], now: float
    ) -> Iterator[Wanted]:
        """The files that are to be verified, the newest first; once more while no publisher is known."""
        due = [file for file in files() if self._is_wanted(file, now)] if self._of(project) else []
        due.sort(key=lambda file: file.version or _OLDEST, reverse=True)
        return (Wanted("provenance", file.filename, self._pins(file)) for file in due)

    def awaits_publisher(self, project: ProjectFacts) -> bool:
        """Whether the publisher of the first file is expected, and there was none."""
        known = project.evidence
        is_open = not known.pinned and not known.is_damaged
        return is_open and any(each.publisher is None for each in self._of(project))

    def _is_wanted(self, file: FileFacts, now: float) -> bool:
        is_due = self.needs(file, now) is not None
        record = _record(file)
        return is_due or bool(record and record.publishers and self._pins(file))

    def _pins(self, file: FileFacts) -> bool:
        """Whether this file may say who the publisher is: of what no rule names one for."""
        if not self.awaits_publisher(file.project):
            return False
        meant = [each for each in self._of(file.project) if each.named.has_version(file) is not False]
        return any(each.publisher is None for each in meant)

    def needs(self, file: FileFacts, now: float) -> Kind | None:
        is_meant = any(each.named.has_version(file) is not False for each in self._of(file.project))
        return "provenance" if is_meant and file.provenance and evidence.is_due(_record(file), now) else None

    def _of(self, project: ProjectFacts) -> list[Expected]:
        return [each for each in self._expected if each.named.has(project.name)]

    def describe(self) -> str:
        return f"listed only with a provenance that verifies: {', '.join(map(str, self._expected)) or 'none'}"


def _record(file: FileFacts) -> evidence.Provenance | None:
    return evidence.valid(file.project.evidence.provenance, file.filename, file.hashes)


def _refusal(file: FileFacts, expected: Sequence[Expected]) -> Refusal | None:
    record = _record(file)
    if not file.provenance:
        return Refusal(f"the upstream has no provenance of {file.filename}: take a version with one")
    if record is None:
        return Refusal(f"the provenance of {file.filename} is not verified yet: {PENDING}")
    if record.problem:
        return Refusal(f"the provenance of {file.filename} {record.problem}", record.again)
    pinned = file.project.evidence.pinned
    if any(each.has(found, pinned) for each in expected for found in record.publishers):
        return None
    is_pin = all(each.publisher is None for each in expected)
    if is_pin and not pinned:
        is_damaged = file.project.evidence.is_damaged
        why = "is lost with a damaged record: name it in mirror.toml" if is_damaged else "is not known yet"
        return Refusal(f"the first publisher of {file.project.name} {why}")
    right = " or ".join(in_words(each) for each in pinned) if is_pin else " or ".join(_publishers(expected))
    where = "the publisher first seen; if that is right, name it in mirror.toml" if is_pin else "as expected"
    found = " and ".join(map(in_words, record.publishers))
    return Refusal(f"{file.filename} was published by {found}, not by {right}, {where}")


def _publishers(expected: Sequence[Expected]) -> Iterator[str]:
    return (in_words(each.publisher) if each.publisher else "the first seen" for each in expected)


def in_words(publisher: AttestedPublisher) -> str:
    """Describe a publisher, such as "GitHub acme/demo release.yml"."""
    return " ".join(publisher.values())


def _same(found: str | None, value: str) -> bool:
    return found is not None and found.casefold() == value.casefold()  # GitHub has no two such names


def build(value: Any) -> RequireProvenance:
    """The rule of a value of mirror.toml. Raises errors for what is none."""
    return RequireProvenance(value)

"""Rule by license, as the metadata of wheels states it.

A project may have thousands of files, whose licenses only their metadata tells. Licenses seldom change, so
metadata is read of the first and the last wheel of a page, and, where two that are known differ, of one in
between, until it is known where the license changes. A file of which nothing was read passes if those that
are known around it do. Whoever asks for a wheel gets it only after its own metadata was read.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from typing import Any

from mirror.decision_summary import PENDING
from mirror.plugin.policy import evidence, license_terms, names
from mirror.plugin.policy.evaluation import Fact, Judge, Refusal
from mirror.plugin.policy.evidence import Kind, License, Wanted
from mirror.plugin.policy.facts import FileFacts, ProjectFacts

_UNKNOWN = (
    "has no license that can be told from its metadata: take another project, or ask to exempt this one"
)


class Licenses:
    """Files with a license that is not allowed, or is denied, are not listed."""

    name, judges_uploads = "licenses", False
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, value: Mapping[str, Any]) -> None:
        """`value`: {"allow": ["MIT"] or null, "deny": ["AGPL-*"], "unknown": "deny", "exempt": ["demo"]}."""
        allow: Sequence[str] | None = value["allow"]
        self._allow = None if allow is None else [license_terms.current(each) for each in allow]
        self._deny = [license_terms.current(each) for each in value["deny"]]
        self._lets_unknown_pass = {"allow": True, "deny": False}[value["unknown"]]
        self._exempt = names.parse_all(value["exempt"])

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        if self._is_exempt(project):
            return None
        records = project.evidence.licenses
        has_problems = any(each.problem or self._problem(each) for each in records.values())
        if (
            project.page is not None
            and not has_problems
            and any(name in project.filenames for name in records)
        ):
            return None  # without a look at any of thousands of files
        if not any(name.endswith(".whl") for name in project.filenames):
            unknown = self._problem(None)
            return partial(_refused, unknown) if unknown else None
        known = {
            at: self._problem(found)
            for at, name in enumerate(project.filenames)
            if (found := records.get(name)) and not found.problem
        }
        places = {name: at for at, name in enumerate(project.filenames)}
        return partial(self._judged, places, known)

    def _judged(
        self, places: Mapping[str, int], known: Mapping[int, str | None], file: FileFacts
    ) -> Refusal | None:
        own = evidence.valid(file.project.evidence.licenses, file.filename, file.hashes)
        if own and not own.problem:
            problem = self._problem(own)
            return _refused(problem, file) if problem else None
        if own and own.again:
            return Refusal(f"the license of {file.filename} {own.problem}", own.again)
        if own:  # it has no metadata, and never will
            problem = self._problem(None)
            return _refused(problem, file) if problem else None
        # What no page lists any more counts as the last one.
        around = _around(sorted(known), places.get(file.filename, len(places)))
        if not around:
            return Refusal(f"the license of {file.filename} is not read yet: {PENDING}")
        problem = next((found for place in around if (found := known[place])), None)
        return (
            Refusal(f"{file.filename}, as other files of {file.project.name}, {problem}") if problem else None
        )

    def _problem(self, stated: License | None) -> str | None:
        """The reason against a license, as what comes after a file's name; None without one."""
        terms = license_terms.of(stated) if stated else None
        if terms is None:
            return None if self._lets_unknown_pass else _UNKNOWN
        if license_terms.holds(terms, self._is_fine):
            return None
        return f"has the license {terms}, which is not allowed here: take another project, or ask to allow it"

    def _is_fine(self, terms: str) -> bool:
        spellings = license_terms.names(terms)  # also without an exception: that only ever permits more
        if _matches(spellings, self._deny):
            return False
        return self._allow is None or _matches(spellings, self._allow)

    def needs(self, file: FileFacts, now: float) -> Kind | None:
        own = evidence.valid(file.project.evidence.licenses, file.filename, file.hashes)
        is_judged = file.is_wheel and not self._is_exempt(file.project)
        return "license" if is_judged and evidence.is_due(own, now) else None

    def wanted(
        self,
        project: ProjectFacts,
        files: Callable[[], Sequence[FileFacts]],  # noqa: ARG002 (as EvidenceRule has it)
        now: float,
    ) -> Iterator[Wanted]:
        """The last and the first wheel, then one between two known ones that differ."""
        if self._is_exempt(project):
            return iter(())
        wheels = [name for name in project.filenames if name.endswith(".whl")]
        records = [project.evidence.licenses.get(name) for name in wheels]
        known = [at for at, record in enumerate(records) if record]
        ends = [at for at in (len(wheels) - 1, 0) if wheels]
        between = [
            (low + high) // 2
            for low, high in pairwise(known)
            if high - low > 1 and _differ(records[low], records[high])
        ]
        due = (at for at in dict.fromkeys([*ends, *between]) if evidence.is_due(records[at], now))
        return (Wanted("license", wheels[at]) for at in due)

    def _is_exempt(self, project: ProjectFacts) -> bool:
        return bool(names.those_of(self._exempt, project.name))

    def describe(self) -> str:
        allow = "" if self._allow is None else f" of these licenses alone: {', '.join(self._allow) or 'none'}"
        deny = f"; denied: {', '.join(self._deny)}" if self._deny else ""
        unknown = "listed" if self._lets_unknown_pass else "not listed"
        exempt = f"; exempt: {', '.join(map(str, self._exempt))}" if self._exempt else ""
        return (
            f"files of upstreams are listed{allow}{deny}; without a known license they are {unknown}{exempt}"
        )


def _refused(problem: str, file: FileFacts) -> Refusal:
    return Refusal(f"{file.filename} {problem}")


def _differ(one: License | None, other: License | None) -> bool:
    return one is None or other is None or (one.stated, one.problem) != (other.stated, other.problem)


def _around(places: Sequence[int], place: int) -> list[int]:
    """The known places before and after one."""
    before, after = bisect_left(places, place), bisect_right(places, place)
    return [*places[max(0, before - 1) : before], *places[after : after + 1]]


def _matches(spellings: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(each.lower(), pattern.lower()) for pattern in patterns for each in spellings)


def build(value: Any) -> Licenses:
    """The rule of a value of mirror.toml. Raises errors for what is none."""
    return Licenses(value)

"""Evaluate policies: every rule of every index from the one asked down to the one that holds a file.

Fails closed: a rule that cannot be read or evaluated denies, and says so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from mirror.plugin.policy.evidence import Kind, Wanted
from mirror.plugin.policy.facts import FileFacts, ProjectFacts


class Refusal(NamedTuple):
    """A rule's reason to deny a file, as a sentence, and the time (seconds since 1970) when that ends."""

    reason: str
    until: float | None = None


Judge = Callable[[FileFacts], Refusal | None]
# Facts that change while the page of a project stays as it is: rendered pages follow them.
Fact = Literal["advisories", "reserved names", "first seen"]


class PolicyRule(Protocol):
    """A rule of a policy."""

    name: str  # its key in mirror.toml
    judges_uploads: bool  # whether it has a say about files of indexes of uploads
    decides_by: tuple[Fact, ...]  # besides the page and evidence

    def about(self, project: ProjectFacts, now: float) -> Judge | None:
        """A judge of the files of `project` at `now`; None when all of them pass."""

    def describe(self) -> str:
        """The rule in words, for `mirror policy`."""


@runtime_checkable
class ReportingRule(PolicyRule, Protocol):
    """A rule that has something to say, too, about files that it lets pass."""

    def reports(self, project: ProjectFacts, now: float) -> Judge | None:
        """Judge of what is only reported, like `about`; None when there is nothing about any file."""


@runtime_checkable
class EvidenceRule(PolicyRule, Protocol):
    """A rule that decides by more than pages say, and denies what it does not know yet."""

    def wanted(
        self, project: ProjectFacts, files: Callable[[], Sequence[FileFacts]], now: float
    ) -> Iterator[Wanted]:
        """The evidence to look for now, the most useful first; there may be more when that is found.

        `files` are those of the project: whoever does not need to look at thousands does not call it.
        """

    def needs(self, file: FileFacts, now: float) -> Kind | None:
        """The evidence that is missing when one file is asked for."""


class Denial(NamedTuple):
    """A decision against a file: the rule, the index whose policy has it ("": all indexes), and why."""

    rule: str
    policy_of: str
    reason: str
    until: float | None = None

    @property
    def sentence(self) -> str:
        where = f"of {self.policy_of}" if self.policy_of else "of all indexes"
        return f"{self.reason} (policy {where}, rule {self.rule})"


@dataclass(frozen=True)
class Policy:
    """The rules of one index, or of all ("")."""

    index: str
    rules: tuple[PolicyRule, ...]

    @cached_property  # to ask a protocol takes longer than to judge a page
    def reporting(self) -> tuple[ReportingRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, ReportingRule))

    @cached_property
    def of_evidence(self) -> tuple[EvidenceRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, EvidenceRule))


Builder = Callable[[Any], PolicyRule | None]  # from the value of a key; None when the value asks for nothing
FileJudge = Callable[[FileFacts], Denial | None]


class UnreadableRule:
    """The place of a rule that this version cannot read: it denies everything."""

    judges_uploads = False
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self._problem = problem

    def about(self, project: ProjectFacts, now: float) -> Judge:  # noqa: ARG002 (as PolicyRule has it)
        refusal = Refusal(f"the policy cannot be evaluated: {self._problem}")
        return lambda _: refusal

    def describe(self) -> str:
        return f"cannot be read, so that it denies everything: {self._problem}"


def build(index: str, settings: Mapping[str, Any], builders: Mapping[str, Builder]) -> Policy:
    """The policy of `settings`, keys of mirror.toml to values; one that cannot be read denies everything."""
    built = (_rule(name, value, builders) for name, value in settings.items())
    return Policy(index, tuple(rule for rule in built if rule))


def _rule(name: str, value: object, builders: Mapping[str, Builder]) -> PolicyRule | None:
    if name not in builders:
        return UnreadableRule(name, "this version of the mirror does not know the rule")
    try:
        return builders[name](value)
    except Exception as error:  # noqa: BLE001 (fails closed, whatever is wrong)
        return UnreadableRule(name, f"{type(error).__name__}: {error}")


def judge_of(policies: Sequence[Policy], project: ProjectFacts, now: float) -> FileJudge | None:
    """A judge of the files of `project`; None when all of them pass, so that nobody need look at them."""
    return _first_of(_judges(policies, project, now))


def reporter_of(policies: Sequence[Policy], project: ProjectFacts, now: float) -> FileJudge | None:
    """Judge like `judge_of`, of what is reported about files that are listed all the same."""
    return _first_of(_judges(policies, project, now, reporting=True))


def _first_of(found: Iterable[tuple[str, str, Judge]]) -> FileJudge | None:
    judges = list(found)
    if not judges:
        return None

    def judge(file: FileFacts) -> Denial | None:
        for rule, index, each in judges:
            try:
                refusal = each(file)
            except Exception as error:  # noqa: BLE001 (fails closed, whatever is wrong)
                refusal = _failed(error)(file)
            if refusal:
                return Denial(rule, index, *refusal)
        return None

    return judge


def _judges(
    policies: Iterable[Policy], project: ProjectFacts, now: float, *, reporting: bool = False
) -> Iterator[tuple[str, str, Judge]]:
    for policy in policies:
        asked = (
            [(rule, rule.reports) for rule in policy.reporting]
            if reporting
            else [(rule, rule.about) for rule in policy.rules]
        )
        for rule, ask in asked:
            if project.is_upload and not rule.judges_uploads:
                continue
            try:
                judge = ask(project, now)
            except Exception as error:  # noqa: BLE001 (fails closed, whatever is wrong)
                judge = _failed(error)
            if judge:
                yield rule.name, policy.index, judge


def _failed(error: Exception) -> Judge:
    words = error.strerror if isinstance(error, OSError) else str(error)  # clients see it: no paths of ours
    refusal = Refusal(f"the policy cannot be evaluated: {words or type(error).__name__}")
    return lambda _: refusal

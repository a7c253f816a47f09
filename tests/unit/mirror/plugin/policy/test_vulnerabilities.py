"""Tests of the rule by known vulnerabilities."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from mirror.advisories.matching import Advisory, Event, KnownVulnerabilities
from mirror.plugin.policy import evaluation, rules
from mirror.plugin.policy.evaluation import Denial
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject
from packhorse.errors import PackhorseError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
RANGE: tuple[tuple[Event, ...], ...] = ((("introduced", "0"), ("fixed", "2.0")),)
KNOWN = [
    Advisory("GHSA-1", ("CVE-1",), "high", 7.5, "", RANGE),
    Advisory("PYSEC-2", (), "unknown", None, "", ((("introduced", "3"), ("fixed", "4")),)),
    Advisory("PYSEC-3", (), "low", None, "", ((("introduced", "5"),),)),
]


def decided(
    filename: str,
    least: str | None = "high",
    ignore: Sequence[tuple[str, str | None]] = (),
    known: Callable[[], KnownVulnerabilities] | None = lambda: KnownVulnerabilities(KNOWN),
    *,
    is_upload: bool = False,
) -> Denial | None:
    """What the policy of an index decides about a file."""
    value: dict[str, Any] = {"least": least, "ignore": [{"id": each, "until": day} for each, day in ignore]}
    policy = evaluation.build("company/prod", {"vulnerabilities": value}, rules.BUILDERS)
    project = ProjectFacts("demo", is_upload=is_upload, vulnerabilities=known)
    judge = evaluation.judge_of([policy], project, NOW)
    return judge(FileFacts(project, FileObject(filename, "", {}))) if judge else None


def test_a_vulnerable_version_is_denied_with_what_to_do() -> None:
    """The words reach whoever's install fails."""
    denial = decided("demo-1.0-py3-none-any.whl")
    assert denial is not None
    assert denial.sentence == (
        "demo 1.0 has GHSA-1, CVE-1 (high); take 2.0 or later (policy of company/prod, rule vulnerabilities)"
    )
    unfixed = decided("demo-5.0.tar.gz", "low")
    assert unfixed is not None
    assert unfixed.reason == "demo 5.0 has PYSEC-3 (low); no fix is known"


@pytest.mark.parametrize(
    ("filename", "least", "is_denied"),
    [
        ("demo-2.0.tar.gz", "low", False),
        ("demo-1.0.tar.gz", "critical", False),
        ("demo-3.0.tar.gz", "critical", True),  # of unknown severity: it may be the worst
        ("demo-5.0.tar.gz", "medium", False),
        ("demo-5.0.tar.gz", "low", True),
        ("demo-1.0+local.tar.gz", "high", True),
        ("demo-latest.zip", "high", True),  # nobody knows whether it is fixed in that
        ("demo-1.0.tar.gz", None, False),
    ],
)
def test_a_version_is_denied_from_the_severity_on(filename: str, least: str | None, is_denied: bool) -> None:  # noqa: FBT001
    """As `mirror audit` reports it."""
    assert bool(decided(filename, least)) is is_denied


def test_what_is_ignored_is_listed_until_its_day() -> None:
    """By any of its ids; on the day itself it counts again."""
    assert decided("demo-1.0.tar.gz", ignore=[("CVE-1", None)]) is None
    assert decided("demo-1.0.tar.gz", ignore=[("GHSA-1", "2026-03-02")]) is None
    assert decided("demo-1.0.tar.gz", ignore=[("GHSA-1", "2026-03-01")])
    assert decided("demo-1.0.tar.gz", ignore=[("GHSA-9", None)])


def test_own_uploads_are_listed_whatever_is_known_about_a_public_project_of_their_name() -> None:
    """It is another project."""
    assert decided("demo-1.0.tar.gz", is_upload=True) is None


def _missing() -> KnownVulnerabilities:
    raise PackhorseError("There are no advisories yet.", "…")


@pytest.mark.parametrize("known", [None, _missing])
def test_without_advisories_nothing_is_listed(known: Callable[[], KnownVulnerabilities] | None) -> None:
    """Fails closed: a lost file must not let in what was kept out."""
    denial = decided("demo-9.0.tar.gz", known=known)
    assert denial is not None
    words = "There are no advisories yet." if known else "no advisories are at hand"
    assert denial.reason == f"the policy cannot be evaluated: {words}"


def test_the_files_of_a_project_without_advisories_are_not_looked_at() -> None:
    """Most projects have none, and some have thousands of files."""
    value = {"least": "low", "ignore": []}
    policy = evaluation.build("", {"vulnerabilities": value}, rules.BUILDERS)
    project = ProjectFacts("demo", vulnerabilities=lambda: KnownVulnerabilities([]))
    assert evaluation.judge_of([policy], project, NOW) is None


def reported(filename: str, least: str | None, report: str | None) -> tuple[bool, str | None]:
    """Whether a file is denied, and the reason for which it is reported."""
    value = {"least": least, "report": report, "ignore": [{"id": "PYSEC-3", "until": None}]}
    policy = evaluation.build("", {"vulnerabilities": value}, rules.BUILDERS)
    project = ProjectFacts("demo", vulnerabilities=lambda: KnownVulnerabilities(KNOWN))
    judges = [each([policy], project, NOW) for each in (evaluation.judge_of, evaluation.reporter_of)]
    denial, report_ = (
        judge(FileFacts(project, FileObject(filename, "", {}))) if judge else None for judge in judges
    )
    return bool(denial), report_.reason if report_ else None


@pytest.mark.parametrize(
    ("filename", "least", "report", "is_denied", "words"),
    [
        (
            "demo-1.0.tar.gz",
            "critical",
            "medium",
            False,
            "demo 1.0 has GHSA-1, CVE-1 (high); take 2.0 or later",
        ),
        ("demo-1.0.tar.gz", None, "high", False, "demo 1.0 has GHSA-1, CVE-1 (high); take 2.0 or later"),
        ("demo-1.0.tar.gz", "high", None, True, None),
        ("demo-1.0.tar.gz", None, "critical", False, None),
        ("demo-5.0.tar.gz", None, "low", False, None),  # ignored
    ],
)
def test_what_is_not_severe_enough_to_be_denied_is_reported(
    filename: str,
    least: str | None,
    report: str | None,
    is_denied: bool,  # noqa: FBT001
    words: str | None,
) -> None:
    """Who keeps the mirror hears of it before it is time to act; what is ignored is not told either."""
    assert reported(filename, least, report) == (is_denied, words)


def test_a_rule_that_only_reports_denies_nothing_without_advisories() -> None:
    """It says so instead: a lost file is no reason to stop everybody's installs where nothing is denied."""
    policy = evaluation.build(
        "", {"vulnerabilities": {"least": None, "report": "low", "ignore": []}}, rules.BUILDERS
    )
    project = ProjectFacts("demo", vulnerabilities=_missing)
    assert evaluation.judge_of([policy], project, NOW) is None
    report = evaluation.reporter_of([policy], project, NOW)
    assert report is not None
    found = report(FileFacts(project, FileObject("demo-1.0.zip", "", {})))
    assert found is not None
    assert "cannot be evaluated" in found.reason


def test_the_rule_says_both_of_its_levels() -> None:
    """`mirror policy` shows it."""
    value: dict[str, Any] = {"least": "critical", "report": "medium", "ignore": []}
    assert rules.BUILDERS["vulnerabilities"](value).describe() == (  # type: ignore[union-attr]
        "versions with a known vulnerability of severity critical or more are not listed,"
        " of severity medium or more are reported"
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        "high",
        {"least": "severe", "ignore": []},
        {"least": None, "report": "severe", "ignore": []},
        {"least": "low", "ignore": [{"id": "a", "until": "soon"}]},
    ],
)
def test_a_value_that_cannot_be_read_denies_everything(value: object) -> None:
    """It may come from another version of the mirror."""
    policy = evaluation.build("", {"vulnerabilities": value}, rules.BUILDERS)
    project = ProjectFacts("demo", vulnerabilities=lambda: KnownVulnerabilities([]))
    judge = evaluation.judge_of([policy], project, NOW)
    assert judge is not None
    assert judge(FileFacts(project, FileObject("demo-1.0.tar.gz", "", {})))

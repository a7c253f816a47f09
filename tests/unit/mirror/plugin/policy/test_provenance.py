"""Tests of the rule that a provenance must verify for an expected publisher."""

from typing import Any

import pytest

from mirror.plugin.policy import evaluation, rules
from mirror.plugin.policy.evaluation import Denial, EvidenceRule
from mirror.plugin.policy.evidence import Evidence, Provenance
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject

NOW = 1_000_000.0
ACME = {"kind": "GitHub", "repository": "acme/demo", "workflow": "release.yml"}
OTHER = {"kind": "GitHub", "repository": "evil/demo", "workflow": "release.yml"}
SHA256 = "a" * 64


def file_object(version: str = "1.0", provenance: str | None = "https://u.example.com/p") -> FileObject:
    return FileObject(f"demo-{version}.tar.gz", "", {"sha256": SHA256}, provenance=provenance)


def policy(*expected: tuple[str, dict[str, str] | None]) -> evaluation.Policy:
    value = [{"project": project, "publisher": publisher} for project, publisher in expected]
    return evaluation.build("", {"require_provenance": value}, rules.BUILDERS)


def decided(
    known: Evidence,
    *expected: tuple[str, dict[str, str] | None],
    file: FileObject | None = None,
    **more: Any,  # noqa: ANN401
) -> Denial | None:
    project = ProjectFacts("demo", evidence=known, **more)
    judge = evaluation.judge_of([policy(*expected)], project, NOW)
    return judge(FileFacts(project, file or file_object())) if judge else None


def known(*publishers: dict[str, str], pinned: dict[str, str] | None = None, **more: Any) -> Evidence:  # noqa: ANN401
    record = Provenance(more.pop("sha256", SHA256), publishers, **more)
    return Evidence({"demo-1.0.tar.gz": record}, {}, (pinned,) if pinned else ())


def reason(denial: Denial | None) -> str:
    assert denial is not None
    return denial.reason


def test_a_file_of_the_expected_publisher_passes_and_of_another_one_does_not() -> None:
    """Whoever takes over the upstream's account publishes from elsewhere."""
    assert decided(known(ACME), ("demo", ACME)) is None
    assert decided(known(ACME), ("demo", {"kind": "GitHub", "repository": "Acme/demo"})) is None
    assert decided(known(OTHER), ("demo", ACME), ("demo", OTHER)) is None
    assert reason(decided(known(OTHER), ("demo", ACME))) == (
        "demo-1.0.tar.gz was published by GitHub evil/demo release.yml,"
        " not by GitHub acme/demo release.yml, as expected"
    )
    gitlab = {"kind": "GitLab", "repository": "acme/demo", "workflow_filepath": "release.yml"}
    assert decided(known(gitlab), ("demo", ACME))


def test_without_a_name_the_publisher_that_was_seen_first_is_expected() -> None:
    """A project that changes hands is refused until somebody has looked."""
    assert decided(known(ACME, pinned=ACME), ("demo", None)) is None
    assert "name it in mirror.toml" in reason(decided(known(OTHER, pinned=ACME), ("demo", None)))
    assert decided(known(ACME), ("demo", None))


def test_without_a_record_of_the_first_publisher_nothing_passes_until_one_is_named() -> None:
    """A record that is lost must not make the next publisher the first."""
    record = {"demo-1.0.tar.gz": Provenance(SHA256, (OTHER,))}
    damaged = Evidence(record, is_damaged=True)
    assert reason(decided(damaged, ("demo", None))) == (
        "the first publisher of demo is lost with a damaged record: name it in mirror.toml"
    )
    assert reason(decided(Evidence(record), ("demo", None))) == (
        "the first publisher of demo is not known yet"
    )
    assert decided(damaged, ("demo", OTHER)) is None


def pinning(known: Evidence, *expected: tuple[str, dict[str, str] | None]) -> dict[str, bool]:
    """Files that are wanted, and whether they may say who the publisher is."""
    (rule,) = policy(*expected).rules
    assert isinstance(rule, EvidenceRule)
    project = ProjectFacts("demo", evidence=known)
    files = [FileFacts(project, file_object(version)) for version in ("1.0", "2.0")]
    return {each.filename: each.pins for each in rule.wanted(project, lambda: files, NOW)}


def test_only_files_of_which_no_rule_names_the_publisher_say_who_is_the_first() -> None:
    """The publisher of an old line of versions, which is named, would be that of the new one."""
    new, old = "demo-2.0.tar.gz", "demo-1.0.tar.gz"
    assert pinning(Evidence(), ("demo<2", ACME), ("demo>=2", None)) == {new: True, old: False}
    assert pinning(Evidence(), ("demo", ACME)) == {new: False, old: False}
    assert pinning(known(OTHER), ("demo", None)) == {new: True, old: True}, "what was verified before, too"
    assert pinning(known(OTHER, pinned=ACME), ("demo", None)) == {new: False}
    assert pinning(Evidence(is_damaged=True), ("demo", None)) == {new: False, old: False}


def test_what_is_not_known_is_denied_with_the_reason() -> None:
    """Fails closed."""
    assert "not verified yet" in reason(decided(Evidence(), ("demo", ACME)))
    assert "not verified yet" in reason(decided(known(ACME, sha256="b" * 64), ("demo", ACME)))
    assert "no provenance" in reason(decided(known(ACME), ("demo", ACME), file=file_object(provenance=None)))
    failed = decided(known(problem="could not be fetched: no", again=NOW + 60), ("demo", ACME))
    assert reason(failed) == "the provenance of demo-1.0.tar.gz could not be fetched: no"
    assert failed is not None
    assert failed.until == NOW + 60


def test_other_projects_versions_and_own_uploads_need_none() -> None:
    """Files from before a project had any provenance are there, too."""
    assert decided(Evidence(), ("other", None)) is None
    assert decided(Evidence(), ("demo>=2", None)) is None
    assert decided(Evidence(), ("demo<2", None))
    assert decided(Evidence(), ("de*", None))
    assert decided(Evidence(), ("demo", None), is_upload=True) is None


def test_the_newest_files_are_verified_first_and_again_when_it_is_time() -> None:
    """Of thousands, most people want the newest."""
    files = [file_object(version) for version in ("1.0", "1.10", "1.9", "0.1")]
    files += [file_object("3.0", provenance=None)]
    records = {
        "demo-0.1.tar.gz": Provenance(SHA256, problem="is none", again=NOW - 1),
        "demo-1.0.tar.gz": Provenance(SHA256, problem="is none", again=NOW + 1),
    }
    project = ProjectFacts("demo", evidence=Evidence(records))
    (rule,) = policy(("demo", None)).rules
    assert isinstance(rule, EvidenceRule)
    wanted = rule.wanted(project, lambda: [FileFacts(project, file) for file in files], NOW)
    assert [each.filename for each in wanted] == [
        "demo-1.10.tar.gz",
        "demo-1.9.tar.gz",
        "demo-0.1.tar.gz",
    ]
    assert rule.needs(FileFacts(project, files[0]), NOW) is None


@pytest.mark.parametrize("value", [None, "demo", ["demo"], [{"project": "a b", "publisher": None}]])
def test_a_value_that_cannot_be_read_denies_everything(value: object) -> None:
    """It may come from another version of the mirror."""
    judge = evaluation.judge_of(
        [evaluation.build("", {"require_provenance": value}, rules.BUILDERS)], ProjectFacts("other"), NOW
    )
    assert judge is not None

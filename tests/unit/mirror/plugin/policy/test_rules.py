"""Rules by name and version, kind of file, yank and status; and what is unknown or broken denies."""

from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

from mirror.plugin.policy import evaluation, names, rules
from mirror.plugin.policy.evaluation import Denial, Fact, Judge
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject

NOW = 1_700_000_000.0


def decided(
    settings: Mapping[str, Any],
    filename: str,
    project: ProjectFacts | None = None,
    *,
    yanked: bool | str | None = None,
) -> Denial | None:
    """What the policy of an index decides about a file."""
    policy = evaluation.build("company/prod", settings, rules.BUILDERS)
    about = project or ProjectFacts("demo")
    judge = evaluation.judge_of([policy], about, NOW)
    return judge(FileFacts(about, FileObject(filename, "", {}, yanked=yanked))) if judge else None


@pytest.mark.parametrize(
    ("denied", "filename", "is_denied"),
    [
        ("demo", "demo-1.0-py3-none-any.whl", True),
        ("De_Mo", "demo-1.0.tar.gz", False),
        ("DEMO", "demo-1.0.tar.gz", True),
        ("d*", "demo-1.0.tar.gz", True),
        ("other*", "demo-1.0.tar.gz", False),
        ("demo==1.0", "demo-1.0.tar.gz", True),
        ("demo == 1.*", "demo-1.0rc1.tar.gz", True),
        ("demo<2,>1", "demo-1.0.tar.gz", False),
        ("demo==1.0", "demo-1.0+cu118-py3-none-any.whl", True),
        ("demo<2", "demo-2004d.zip", True),  # of which nobody knows what version it is
        ("demo<2", "demo-latest.zip", True),
        ("demo>90", "demo-99-5.tar.gz", True),  # 99.post5 for installers
        ("demo>90", "demo-docs-5.tar.gz", True),  # no version for them
    ],
)
def test_what_is_denied_is_so_by_name_and_version(denied: str, filename: str, is_denied: bool) -> None:  # noqa: FBT001
    """Whoever lists a version expects all that PEP 440 counts to it."""
    assert bool(decided({"deny": [denied]}, filename)) is is_denied


@pytest.mark.parametrize(
    ("allowed", "filename", "is_denied"),
    [
        (["demo"], "demo-latest.zip", False),
        (["demo>=1", "demo"], "demo-0.1.zip", False),
        (["demo>=1"], "demo-0.1.zip", True),
        (["demo>=1"], "demo-1.1b1.zip", False),
        (["demo>=1"], "demo-latest.zip", True),
        (["demo<6"], "demo-99-5.tar.gz", True),
        (["demo<6"], "demo-docs-5.tar.gz", True),
        ([], "demo-1.0.zip", True),
    ],
)
def test_only_what_is_allowed_is_listed(allowed: list[str], filename: str, is_denied: bool) -> None:  # noqa: FBT001
    """An empty list is the one that denies most."""
    assert bool(decided({"allow": allowed}, filename)) is is_denied


def test_uploads_are_judged_by_deny_lists_alone() -> None:
    """What the others are about is what strangers bring."""
    own = ProjectFacts("demo", is_upload=True)
    others = {"allow": [], "sdists": [], "hide_yanked": True, "refuse_quarantined": True, "new rule": 1}
    assert decided(others, "demo-1.0.tar.gz", own, yanked=True) is None
    assert decided({"deny": ["demo"]}, "demo-1.0.tar.gz", own)


def test_sdists_are_listed_on_request() -> None:
    """And whatever else runs code of the project when it is installed."""
    assert decided({"sdists": ["other"]}, "demo-1.0.tar.gz")
    assert decided({"sdists": ["other"]}, "demo-1.0-py3.7.egg")
    assert decided({"sdists": ["other"]}, "demo-1.0-py3-none-any.whl") is None
    assert decided({"sdists": ["de*"]}, "demo-1.0.tar.gz") is None


def test_a_yank_is_one_with_a_reason_or_without() -> None:
    """Of a file that no page lists any more, nobody knows."""
    for yanked in (True, "broken"):
        assert decided({"hide_yanked": True}, "demo-1.0.zip", yanked=yanked)
    assert decided({"hide_yanked": True}, "demo-1.0.zip") is None
    assert decided({"hide_yanked": False}, "demo-1.0.zip", yanked=True) is None
    assert decided({"hide_yanked": True}, "demo-1.0.zip", ProjectFacts("demo", is_listed=False))


def test_a_quarantined_project_is_refused_with_the_reason() -> None:
    """And one of which no page can be had: it may be gone for that."""
    bad = ProjectFacts("demo", status={"status": "quarantined", "reason": "malware"})
    refused = decided({"refuse_quarantined": True}, "demo-1.0.zip", bad)
    assert refused
    assert "malware" in refused.reason
    archived = ProjectFacts("demo", status={"status": "archived"})
    assert decided({"refuse_quarantined": True}, "demo-1.0.zip", archived) is None
    assert decided({"refuse_quarantined": True}, "demo-1.0.zip", ProjectFacts("demo", is_known=False))


@pytest.mark.parametrize(
    "settings",
    [
        {"minimum_hype": 3},
        {"deny": "demo"},
        {"allow": ["demo[x]>1"]},
        {"hide_yanked": "yes"},
        {"sdists": None},
    ],
)
def test_a_rule_that_cannot_be_read_denies_everything(settings: Mapping[str, Any]) -> None:
    """A policy of a newer version, or one that somebody wrote into the database."""
    refused = decided(settings, "demo-1.0-py3-none-any.whl")
    assert refused
    assert "cannot be evaluated" in refused.sentence


class _Broken:
    """A rule that fails, about the project or about a file."""

    name, judges_uploads = "broken", True
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, *, early: bool) -> None:
        self._early = early

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        if self._early:
            raise RuntimeError("out of order")
        return lambda _: 1 / 0  # type: ignore[return-value]

    def describe(self) -> str:
        return "broken"


def test_the_reason_of_a_rule_that_fails_has_no_path_of_the_mirror() -> None:
    """Whoever asks for a denied file reads it."""

    def lost() -> NoReturn:
        raise PermissionError(13, "Permission denied", "/srv/mirror/advisories")

    refused = decided(
        {"vulnerabilities": {"least": "high", "ignore": []}},
        "demo-1.0-py3-none-any.whl",
        ProjectFacts("demo", vulnerabilities=lost),
    )
    assert refused
    assert refused.reason.endswith("cannot be evaluated: Permission denied")
    assert "/srv" not in refused.reason


@pytest.mark.parametrize("early", [True, False])
def test_a_rule_that_fails_denies(early: bool) -> None:  # noqa: FBT001
    """Fails closed, and the reason names the rule."""
    policy = evaluation.Policy("", (_Broken(early=early),))
    demo = ProjectFacts("demo")
    judge = evaluation.judge_of([policy], demo, NOW)
    assert judge
    denial = judge(FileFacts(demo, FileObject("demo-1.0.zip", "", {})))
    assert denial
    assert denial.sentence.startswith("the policy cannot be evaluated: ")
    assert denial.sentence.endswith("(policy of all indexes, rule broken)")


def test_nobody_looks_at_files_of_a_project_that_no_rule_is_about() -> None:
    """Pages have thousands of files."""
    policy = evaluation.build("", {"deny": ["other==1"], "refuse_quarantined": True}, rules.BUILDERS)
    assert evaluation.judge_of([policy], ProjectFacts("demo"), NOW) is None


@pytest.mark.parametrize("text", ["", "-", "demo[extra]", "demo @ https://x", "demo; a==1", "demo>>1", "dé"])
def test_what_names_no_project_is_refused(text: str) -> None:
    """A list that is read wrongly lets in what it should not."""
    with pytest.raises(ValueError):  # noqa: PT011 (packaging has its own kinds)
        names.Named.parse(text)

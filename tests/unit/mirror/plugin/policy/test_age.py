"""How old a file is: an upstream's dates, and when this mirror saw it first."""

import pytest

from mirror.plugin.policy import age, evaluation, rules
from mirror.plugin.policy.evaluation import Denial
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject

DAY = 86400
NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
FIRST = NOW - 100 * DAY  # when the project was seen first
OLD, YOUNG, FUTURE = "2020-01-01T00:00:00Z", "2023-11-14T00:00:00.123456Z", "2123-01-01T00:00:00Z"


def decided(
    upload_time: str | None,
    seen: float | None,
    *,
    since: float = FIRST,
    trust_upload_times: bool = True,
    exempt: tuple[str, ...] = (),
) -> Denial | None:
    """What minimum_age = "7d" decides about a file."""
    value = {"seconds": 7 * DAY, "trust_upload_times": trust_upload_times, "exempt": list(exempt)}
    policy = evaluation.build("", {"minimum_age": value}, rules.BUILDERS)
    about = ProjectFacts("demo", first_seen=lambda _: seen, seen_since=since)
    judge = evaluation.judge_of([policy], about, NOW)
    file = FileObject("demo-1.0.zip", "", {}, upload_time=upload_time)
    return judge(FileFacts(about, file)) if judge else None


@pytest.mark.parametrize(
    ("upload_time", "seen", "is_young"),
    [
        (OLD, FIRST, False),
        (OLD, NOW - 8 * DAY, False),
        (OLD, NOW - 1 * DAY, True),  # an upstream that back-dates
        (YOUNG, FIRST, True),
        (YOUNG, NOW - 8 * DAY, True),
        (FUTURE, FIRST, True),
        (None, FIRST, False),  # nobody says when, but it is here for long
        ("yesterday", NOW - DAY, True),
        (OLD, None, True),  # nobody noted it
        (None, None, True),
    ],
)
def test_a_file_is_as_old_as_both_say(upload_time: str | None, seen: float | None, is_young: bool) -> None:  # noqa: FBT001
    """What appears later on a page counts from then, whatever date it bears."""
    assert bool(decided(upload_time, seen)) is is_young


def test_upload_times_are_believed_on_the_first_page_unless_they_are_not_to_be() -> None:
    """There is nothing to compare them with: a new mirror would list nothing for a week."""
    assert decided(OLD, NOW, since=NOW) is None
    assert decided(YOUNG, NOW, since=NOW)
    assert decided(None, NOW, since=NOW)
    assert decided(OLD, NOW, since=NOW, trust_upload_times=False)
    assert decided(OLD, NOW - 8 * DAY, since=NOW - 8 * DAY, trust_upload_times=False) is None


def test_a_refusal_says_when_it_ends() -> None:
    """The page changes then; a date in ten thousand years does no harm."""
    denial = decided(OLD, NOW - DAY)
    assert denial
    assert denial.until == NOW + 6 * DAY
    assert "not yet 7d old: it is listed from 2023-11-20 22:13 UTC on" in denial.reason
    assert decided("9999-12-31T23:59:59Z", FIRST)


def test_projects_and_versions_may_be_exempt() -> None:
    """Certificates of authorities, for instance, must be new."""
    assert decided(YOUNG, NOW, exempt=("other",))
    for exempt in ("demo", "d*", "DEMO==1.*"):
        assert decided(YOUNG, NOW, exempt=(exempt,)) is None
    assert decided(YOUNG, NOW, exempt=("demo>1",))


@pytest.mark.parametrize(
    "value", [7, "7d", {}, {"seconds": 0}, {"seconds": "x"}, {"seconds": 1, "more": 1}, {"seconds": -5}]
)
def test_what_is_no_age_denies_everything(value: object) -> None:
    """Fails closed."""
    policy = evaluation.build("", {"minimum_age": value}, rules.BUILDERS)
    assert isinstance(policy.rules[0], evaluation.UnreadableRule)


@pytest.mark.parametrize(
    ("seconds", "words"), [(604800, "7d"), (5400, "90min"), (129600, "36h"), (90, "90s")]
)
def test_ages_are_in_words_as_in_mirror_toml(seconds: int, words: str) -> None:
    """Who reads the reason finds the line."""
    assert age.in_words(seconds) == words

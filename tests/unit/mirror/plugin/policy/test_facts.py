"""A page as one text: it lets rules pass all files that they would pass one by one, and no others."""

import pytest

from mirror.plugin.policy import evaluation, rules
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject, Rows

DAY = 86400
NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
FIRST = NOW - 100 * DAY
OLD, YOUNG = "2020-01-01T00:00:00.5Z", "2023-11-13T00:00:00Z"
SETTINGS = {"hide_yanked": True, "sdists": [], "minimum_age": {"seconds": 7 * DAY}}
TRICK = 'demo-1.0-,"yanked":false,"upload-time":"2020-01-01T00:00:00Z".whl","url":'


def wheel(name: str = "demo-1.0-py3-none-any.whl", **facts: str | bool | None) -> FileObject:
    found = FileObject(name, "../", {"sha256": "ab" * 32}, upload_time=OLD, yanked=False)
    for key, value in facts.items():
        setattr(found, key, value)
    return found


@pytest.mark.parametrize(
    "odd",
    [
        wheel("demo-1.1-py3-none-any.whl"),
        wheel("demo-1.1.zip"),
        wheel(TRICK),
        wheel(TRICK, yanked=True),
        wheel(TRICK, upload_time=YOUNG),
        wheel("demo-1.1-py3-none-any.whl", upload_time=None),
        wheel("demo-1.1-py3-none-any.whl", upload_time=YOUNG),
        wheel("demo-1.1-py3-none-any.whl", upload_time="2020-01-01"),
        wheel("demo-1.1-py3-none-any.whl", upload_time="0"),
        wheel("demo-1.1-py3-none-any.whl", yanked='"yanked":false'),
        wheel("demo-1.1-py3-none-any.whl", yanked=True),
        wheel("demo-1.1-py3-none-any.whl", yanked=None),
        wheel("later-1.1-py3-none-any.whl"),
        wheel("d\u00e9mo-1.1-py3-none-any.whl"),
    ],
)
def test_a_page_is_judged_as_its_files_are(odd: FileObject) -> None:
    """Each rule by itself, with one odd file among others, also one whose name looks like rows."""
    files = [wheel(), odd, wheel("demo-2.0-py3-none-any.whl")]

    def seen(name: str) -> float:
        return NOW - DAY if name.startswith("later") else FIRST

    one_by_one = ProjectFacts("demo", first_seen=seen, seen_since=FIRST)
    at_once = ProjectFacts(
        "demo", first_seen=seen, seen_since=FIRST, page=Rows.of_objects(files, [""] * len(files))
    )
    for name, value in SETTINGS.items():
        policy = evaluation.build("", {name: value}, rules.BUILDERS)
        slow = evaluation.judge_of([policy], one_by_one, NOW)
        fast = evaluation.judge_of([policy], at_once, NOW)
        assert slow
        expected = [bool(slow(FileFacts(one_by_one, file))) for file in files]
        assert [bool(fast and fast(FileFacts(at_once, file))) for file in files] == expected, name


def test_an_ordinary_page_needs_no_look_at_its_files() -> None:
    """It may have ten thousand of them."""
    files = [wheel(), wheel("demo-2.0-py3-none-any.whl")]
    page = Rows.of_objects(files, ["", ""])
    project = ProjectFacts("demo", first_seen=lambda _: FIRST, seen_since=FIRST, page=page)
    policy = evaluation.build("", SETTINGS, rules.BUILDERS)
    assert evaluation.judge_of([policy], project, NOW) is None

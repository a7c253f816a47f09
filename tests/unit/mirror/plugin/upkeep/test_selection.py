"""Which cached files go: by last use, version and room."""

import pytest

from mirror.plugin.upkeep import selection
from mirror.plugin.upkeep.selection import GRAIN, CachedFile, Rules


def file(
    version: str,
    used: float = 0,
    *,
    size: int = 10,
    project: str = "demo",
    listed: bool = True,
    yanked: bool = False,
) -> CachedFile:
    path = f"root/pypi/+f/abc/0123456789abc/{project}-{version}.tar.gz"
    return CachedFile(path, project, version, size, used, listed=listed, yanked=yanked)


def versions(files: list[CachedFile]) -> list[str]:
    return [each.version for each in files]


def test_what_is_unused_for_long_goes_the_oldest_first() -> None:
    files = [file("1.0", 5), file("2.0", 1), file("3.0", 9)]
    assert versions(selection.to_remove(files, Rules(unused_since=GRAIN + 6))) == ["2.0", "1.0"]


def test_what_may_have_been_used_since_stays() -> None:
    """The kernel notes one use a day."""
    assert selection.to_remove([file("1.0", 5)], Rules(unused_since=GRAIN + 5)) == []


def test_no_more_goes_than_the_room_takes() -> None:
    files = [file("1.0", 5), file("2.0", 1), file("3.0", 9)]
    assert versions(selection.to_remove(files, Rules(most=30))) == []
    assert versions(selection.to_remove(files, Rules(most=29))) == ["2.0"]
    assert versions(selection.to_remove(files, Rules(most=0))) == ["2.0", "1.0", "3.0"]


def test_age_and_room_add_up_without_counting_a_file_twice() -> None:
    files = [file("1.0", 5), file("2.0", 1), file("3.0", 9)]
    assert versions(selection.to_remove(files, Rules(unused_since=GRAIN + 2, most=20))) == ["2.0"]
    assert versions(selection.to_remove(files, Rules(unused_since=GRAIN + 2, most=19))) == ["2.0", "1.0"]


@pytest.mark.parametrize(
    ("count", "gone"),
    [(0, ["1.0", "10.0", "11.0b1", "12.0", "9.0", "old"]), (1, ["1.0", "11.0b1", "12.0", "9.0", "old"]),
     (3, ["11.0b1", "12.0", "old"]), (4, ["12.0", "old"]), (5, ["old"]), (9, [])],
)  # fmt: skip
def test_the_newest_versions_stay_as_installers_would_choose_them(count: int, gone: list[str]) -> None:
    """10 after 9; a pre-release only when no final one is left, then a yanked one, then no version."""
    files = [file(each, yanked=each == "12.0") for each in ("1.0", "9.0", "10.0", "11.0b1", "12.0", "old")]
    assert sorted(versions(selection.to_remove(files, Rules(keep_last=count)))) == gone


def test_newest_versions_are_counted_by_project_and_by_index_and_by_value() -> None:
    other = file("1.0", project="other")
    elsewhere = CachedFile("root/more/+f/abc/0123456789abc/demo-1.tar.gz", "demo", "1", 1, 0)
    files = [file("2.0"), file("2.0.0"), other, elsewhere]
    assert selection.to_remove(files, Rules(keep_last=1, most=0)) == []


def test_releases_of_locks_stay() -> None:
    keep = frozenset({("demo", selection.normalized("1.0.0"))})
    assert versions(selection.to_remove([file("1.0"), file("2.0")], Rules(keep=keep))) == ["2.0"]


def test_what_cannot_be_had_again_goes_last_or_never() -> None:
    files = [file("1.0", 1, listed=False), file("2.0", 2)]
    assert versions(selection.to_remove(files, Rules(most=10))) == ["2.0"]
    assert versions(selection.to_remove(files, Rules(most=0))) == ["2.0", "1.0"]
    assert versions(selection.to_remove(files, Rules(most=0, only_listed=True))) == ["2.0"]

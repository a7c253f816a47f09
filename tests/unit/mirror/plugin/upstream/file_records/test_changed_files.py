"""Files that an upstream changes: found by name and hash, replaced by what is known of them."""

import pytest

from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.file_records import changed_files

A, B = "a" * 64, "b" * 64


def _file(name: str, **hashes: str) -> ProjectFile:
    digest = next(iter(hashes.values()), "")
    return ProjectFile(name, f"root/pypi/+f/{digest[:3]}/{digest[3:16]}/{name}", f"https://x/{name}", hashes)


def _page(*files: ProjectFile) -> ProjectDetail:
    return ProjectDetail("demo", files)


OLD = _file("demo-1.0.zip", sha256=A)


def test_a_page_without_changes_is_the_same_page() -> None:
    """Nothing is read or written for it."""
    new = _page(OLD, _file("demo-2.0.zip", sha256=B))
    assert changed_files.hold(new, _page(OLD), {"demo-1.0.zip": A}, "root/pypi").detail is new


def test_a_file_with_another_hash_is_replaced_by_the_old_one_with_the_yank_of_the_new() -> None:
    """A yank is the upstream's word about the release, and warns."""
    new = _file("demo-1.0.zip", sha256=B)._replace(yanked="hacked")
    held = changed_files.hold(_page(new), _page(OLD), {}, "root/pypi")
    assert list(held.detail.files) == [OLD._replace(yanked="hacked")]
    assert held.changed == (("demo-1.0.zip", f"sha256={A}", f"sha256={B}"),)


def test_a_pinned_hash_holds_without_a_page() -> None:
    """The page was lost with the cache."""
    held = changed_files.hold(_page(_file("demo-1.0.zip", sha256=B)), None, {"demo-1.0.zip": A}, "root/pypi")
    (file,) = held.detail.files
    assert (file.hashes, file.path) == ({"sha256": A}, OLD.path)
    assert [each.filename for each in held.changed] == ["demo-1.0.zip"]


@pytest.mark.parametrize("before", [{"md5": "0" * 32}, {}])
def test_hashes_of_other_kinds_say_nothing_about_each_other(before: dict[str, str]) -> None:
    """An upstream that begins to state sha256 changes no file."""
    new = _page(_file("demo-1.0.zip", sha256=B))
    assert changed_files.hold(new, _page(_file("demo-1.0.zip", **before)), {}, "root/pypi").changed == ()


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        ({"sha256": A}, {"md5": "0" * 32}, f"md5={'0' * 32}"),
        ({"sha256": A}, {}, "no hash"),
        ({"sha256": A, "md5": "0" * 32}, {"md5": "0" * 32}, f"md5={'0' * 32}"),
        ({"md5": "0" * 32, "sha256": A}, {"md5": "0" * 32, "sha256": B}, f"sha256={B}"),
        ({"sha512": A * 2}, {"sha256": B}, f"sha256={B}"),
        ({"sha512": A * 2}, {"sha512": A * 2, "sha256": B}, f"sha256={B}"),
    ],
)
def test_a_file_whose_hash_is_no_longer_stated_is_one_that_was_changed(
    before: dict[str, str], now: dict[str, str], refused: str
) -> None:
    """Nobody could say that its bytes are those that were listed, for minimum_age for example."""
    old = _file("demo-1.0.zip", **before)
    held = changed_files.hold(_page(_file("demo-1.0.zip", **now)), _page(old), {}, "root/pypi")
    assert list(held.detail.files) == [old]
    assert [each.refused for each in held.changed] == [refused]


@pytest.mark.parametrize("now", [{}, {"md5": "0" * 32}])
def test_a_file_that_was_kept_needs_no_hash_on_its_page(now: dict[str, str]) -> None:
    """Its bytes are held to the hash of before; a bundle may have stated it, and the upstream never."""
    new, old = _page(_file("demo-1.0.zip", **now)), _page(OLD)
    assert changed_files.hold(new, old, {"demo-1.0.zip": A}, "root/pypi").changed == ()


def test_a_page_shows_the_sha256_of_files_that_came_without_one() -> None:
    """As hashed on arrival; others stay as they are."""
    page = _page(_file("demo-1.0.zip", md5="0" * 32), _file("demo-2.0.zip", md5="1" * 32))
    shown = changed_files.completed(page, {"demo-1.0.zip": A}).files
    assert [dict(file.hashes) for file in shown] == [{"sha256": A, "md5": "0" * 32}, {"md5": "1" * 32}]

"""Files of a bundle beside those that an upstream listed: none may replace another."""

from collections.abc import Mapping

import pytest

from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows, rows
from mirror.plugin.upstream.file_records import given_files

NAME = "demo-1.0.tar.gz"
OURS, OTHER = "a" * 64, "b" * 64


def _file(sha256: str = OURS, name: str = NAME, *, yanked: bool | str = False) -> ProjectFile:
    path = f"root/pypi/+f/{sha256[:3]}/{sha256[3:16]}/{name}"
    return ProjectFile(name, path, f"https://example.com/{name}", {"sha256": sha256}, yanked=yanked)


def _project(*files: ProjectFile, status: Mapping[str, str] | None = None) -> ProjectDetail:
    return ProjectDetail("demo", rows(files), tuple(file.filename for file in files), status or {})


def test_a_new_file_is_added_after_those_that_are_here() -> None:
    """With its version; what the upstream said stays as it was."""
    here, new = _file(), _file(OTHER, "demo-2.0.tar.gz")
    found = given_files.merge(_project(here), _project(new, here), {})
    assert list(found.detail.files) == [here, new]
    assert found.detail.versions == (here.filename, new.filename)
    assert found.refused == {here.filename: "", new.filename: ""}


def test_the_same_again_changes_nothing() -> None:
    """Then nothing is written."""
    here = _project(_file()._replace(upload_time="2024-01-02T03:04:05.678900Z"))
    found = given_files.merge(here, _project(_file()._replace(requires_python=">=99")), {NAME: OURS})
    assert found.detail == here


@pytest.mark.parametrize(("has", "shown"), [(True, "../../../../{}.provenance"), (False, "https://u/p")])
def test_the_provenance_that_came_along_takes_the_place_of_an_address(has: bool, shown: str) -> None:  # noqa: FBT001
    """Where nobody can be asked, what is here counts; what did not come is not promised."""
    here, given = (
        _file()._replace(provenance="https://u/p"),
        _file()._replace(provenance="../../provenance/x"),
    )
    brought = given_files.with_provenance(_project(given), lambda file: has and file.hashes["sha256"] == OURS)
    (found,) = given_files.merge(_project(here), brought, {}).detail.files
    assert found == here._replace(provenance=shown.format(here.path))


@pytest.mark.parametrize(
    ("here", "pinned", "why"),
    [
        ([_file(OTHER)], {}, "the upstream lists another file of this name"),
        ([], {NAME: OTHER}, "the mirror had another file of this name before"),
        ([_file()], {NAME: OTHER}, "the mirror had another file of this name before"),
    ],
)
def test_another_content_under_a_known_name_is_refused(
    here: list[ProjectFile], pinned: dict[str, str], why: str
) -> None:
    """Whoever had the disk in their hands."""
    before = _project(*here)
    found = given_files.merge(before, _project(_file()), pinned)
    assert why in found.refused[NAME]
    assert found.detail == before


def test_an_accepted_file_takes_the_place_of_the_known_one_and_of_no_other() -> None:
    """The hash that was kept of it is to be forgotten; what is the same anyway replaces nothing."""
    other = _file(OTHER, "demo-2.0.tar.gz")
    given = _project(_file(), other._replace(hashes={"sha256": OURS}))
    found = given_files.merge(_project(_file(OTHER), other), given, {NAME: OTHER}, {NAME})
    assert list(found.detail.files) == [_file(), other]
    assert (found.refused[NAME], found.replaced) == ("", [NAME])
    assert "another file of this name" in found.refused[other.filename]
    assert given_files.merge(_project(_file()), _project(_file()), {}, {NAME}).replaced == []


def test_a_file_without_a_sha256_is_refused() -> None:
    """Nothing could be checked."""
    found = given_files.merge(
        ProjectDetail("demo", Rows("")), _project(_file()._replace(hashes={"md5": "c" * 32})), {}, {NAME}
    )
    assert found.refused == {NAME: "it has no sha256"}


def test_a_yank_is_taken_over_and_never_taken_back() -> None:
    """Nobody knows which of two pages is the later one; a yank warns of something."""
    yanked, plain = _file(yanked="bad"), _file()
    assert list(given_files.merge(_project(plain), _project(yanked), {}).detail.files) == [yanked]
    assert list(given_files.merge(_project(yanked), _project(plain), {}).detail.files) == [yanked]


def test_a_hash_completes_a_file_whose_upstream_states_none() -> None:
    """Its address has the hash in it from then on."""
    here = _file()._replace(hashes={}, path="root/pypi/+e/https_example.com_/demo-1.0.tar.gz")
    assert list(given_files.merge(_project(here), _project(_file()), {}).detail.files) == [_file()]


def test_a_status_is_that_of_the_upstream() -> None:
    """Where there is none, the bundle's."""
    archived, active = {"status": "archived"}, {"status": "active"}
    given = _project(_file(), status=archived)
    assert given_files.merge(_project(status=active), given, {}).detail.status == active
    assert given_files.merge(_project(), given, {}).detail.status == archived

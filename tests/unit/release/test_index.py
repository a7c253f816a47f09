"""The promises of release.index."""

from urllib.error import URLError

import pytest

from packhorse.errors import PackhorseError
from release import index
from tests.support.fakes import INDEX, FakeIndex

WHEEL = "app-1.0-py3-none-any.whl"


def unreachable(url: str, accept: str) -> index.Response:  # noqa: ARG001 (as index.Get)
    """Fail as urllib does: the reason lies inside."""
    raise URLError(ConnectionRefusedError(111, "Connection refused"))


def test_files_have_whole_urls_and_hashes() -> None:
    """devpi's pages have relative URLs; a host downloads by absolute ones."""
    there = FakeIndex({WHEEL: ("../../+f/ab/app-1.0-py3-none-any.whl", "ab")})
    assert index.files(INDEX, "App", there) == [index.File(WHEEL, f"{INDEX}/+f/ab/{WHEEL}", "ab", own=True)]


def test_an_upstream_project_of_the_same_name_is_not_ours() -> None:
    """devpi shows it through inheritance until the first upload: it must not forbid that upload."""
    there = FakeIndex({WHEEL: (f"../../../../root/pypi/+f/ab/{WHEEL}", "ab")})
    assert [file.own for file in index.files(INDEX, "app", there)] == [False]
    assert index.missing(INDEX, "app", {WHEEL: "cd"}, there) == {WHEEL}


def test_an_index_whose_path_begins_alike_is_another_index() -> None:
    """company/dev must not take the files of company/dev-old for its own."""
    there = FakeIndex({WHEEL: (f"/company/dev-old/+f/ab/{WHEEL}", "ab")})
    assert [file.own for file in index.files(INDEX, "app", there)] == [False]


def test_a_project_that_the_index_does_not_know_has_no_files() -> None:
    """404 is an answer: the first upload of every project starts there."""
    assert index.files(INDEX, "app", FakeIndex()) == []


def test_an_index_that_does_not_exist_is_not_an_empty_one() -> None:
    """devpi answers 404 for both; a typing error must not look like a new project."""
    with pytest.raises(PackhorseError, match=f"There is no index {INDEX}"):
        index.files(INDEX, "app", FakeIndex(exists=False))


def test_an_index_that_cannot_be_reached_is_named_with_the_cause() -> None:
    """Not urllib3's three lines about pools: the reason, and what to do."""
    with pytest.raises(PackhorseError) as caught:
        index.require(INDEX, unreachable)
    assert caught.value.message == f"The index {INDEX} cannot be reached: Connection refused"
    assert "mirror serve" in caught.value.hint


def test_a_server_that_is_no_index_is_told_apart() -> None:
    """An HTML page with status 200 is what a login page or a wrong address answers."""
    page = index.Response(f"{INDEX}/+simple/app/", 200, "OK", "text/html", b"<html>")
    with pytest.raises(PackhorseError, match="does not speak JSON"):
        index.files(INDEX, "app", lambda *_: page)


def test_trouble_of_the_index_is_not_an_empty_answer() -> None:
    """502 means: nobody knows. Taking it for "no such version" would upload over something."""
    with pytest.raises(PackhorseError, match="answered 502"):
        index.files(INDEX, "app", lambda *_: index.Response(INDEX, 502))


def test_the_same_bytes_are_there_already_and_other_bytes_are_refused() -> None:
    """A version never changes its content: that is what makes a deploy repeatable."""
    there = FakeIndex({WHEEL: ("../../+f/ab/app.whl", "ab")})
    assert index.missing(INDEX, "app", {WHEEL: "ab", "app-1.0.tar.gz": "cd"}, there) == {"app-1.0.tar.gz"}
    with pytest.raises(PackhorseError, match=f"already has {WHEEL} with other content"):
        index.missing(INDEX, "app", {WHEEL: "cd"}, there)

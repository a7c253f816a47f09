"""The promises of release.index."""

from dataclasses import replace
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
    assert index.files(INDEX, "App", there) == [
        index.ListedFile(WHEEL, f"{INDEX}/+f/ab/{WHEEL}", "ab", INDEX, own=True)
    ]


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


@pytest.mark.parametrize("status", [401, 403])
def test_an_index_that_is_not_for_everybody_is_told_apart(status: int) -> None:
    """Its log would say nothing, and there is nothing to wait for."""
    for ask in (index.require, lambda url, get: index.files(url, "app", get)):
        with pytest.raises(PackhorseError, match=f"not for everybody: {INDEX} answered {status}") as caught:
            ask(INDEX, lambda *_: index.Response(INDEX, status, "Reason"))
        assert "mirror.toml" in (caught.value.hint or "")


def test_the_same_bytes_are_there_already_and_other_bytes_are_refused() -> None:
    """A version never changes its content: that is what makes a deploy repeatable."""
    there = FakeIndex({WHEEL: ("../../+f/ab/app.whl", "ab")})
    assert index.missing(INDEX, "app", {WHEEL: "ab", "app-1.0.tar.gz": "cd"}, there) == {"app-1.0.tar.gz"}
    with pytest.raises(PackhorseError, match=f"already has {WHEEL} with other content"):
        index.missing(INDEX, "app", {WHEEL: "cd"}, there)


ROOT = INDEX.removesuffix("/company/dev")
TEAM: dict[str, dict[str, object]] = {
    "company/dev": {"type": "stage", "bases": ["company/prod"]},
    "company/prod": {"type": "stage", "bases": ["root/pypi", "company/dev"]},
    "root/pypi": {"type": "mirror"},
}


def test_files_of_the_company_are_those_on_indexes_for_uploads() -> None:
    """A promoted file lies on a base; so does a stranger's, which an upstream has under that name."""
    there = FakeIndex(
        {
            "app-1.0.tar.gz": ("../../+f/ab/app-1.0.tar.gz", "a"),
            "app-0.9.tar.gz": ("../../../prod/+f/ab/app-0.9.tar.gz", "b"),
            "app-99.0.tar.gz": ("../../../../root/pypi/+f/ab/app-99.0.tar.gz", "c"),
            "app-98.0.tar.gz": ("https://files.example.com/company/dev/+f/ab/app-98.0.tar.gz", "d"),
            "app-97.0.tar.gz": ("../../../../mallory/dev/+f/ab/app-97.0.tar.gz", "e"),
        },
        configs=TEAM,
    )
    found = index.company_files(INDEX, "app", there)
    assert [file.company for file in found] == [True, True, False, False, False]
    assert found[1].index == f"{ROOT}/company/prod"


def test_an_index_behind_a_redirect_is_the_same_index() -> None:
    """A server that sends clients from http to https: file addresses follow the page's."""
    there = FakeIndex({WHEEL: (f"../../+f/ab/{WHEEL}", "ab")}, configs=TEAM)

    def redirected(url: str, accept: str) -> index.Response:
        return replace(there(url, accept), url=url.replace("http://", "https://"))

    (found,) = index.company_files(INDEX, "app", redirected)
    assert (found.index, found.own, found.company) == (INDEX, True, True)
    assert found.url.startswith("https://")


def test_a_caching_index_is_no_place_to_deploy_from() -> None:
    """Everything on it is a stranger's, own or not."""
    there = FakeIndex({WHEEL: (f"../../+f/ab/{WHEEL}", "ab")}, configs=TEAM)
    with pytest.raises(PackhorseError, match="root/pypi is an index of type mirror"):
        index.company_files(f"{ROOT}/root/pypi", "app", there, private=True)


def test_an_index_that_does_not_say_what_is_the_companys_is_refused_unless_the_user_vouches() -> None:
    """Another server than devpi: nobody can tell its uploads from an upstream's files."""
    there = FakeIndex({WHEEL: (f"../../+f/ab/{WHEEL}", "ab")})
    with pytest.raises(PackhorseError, match="does not say which files are the company's own") as caught:
        index.company_files(INDEX, "app", there)
    assert "index_is_private" in caught.value.hint
    assert [file.company for file in index.company_files(INDEX, "app", there, private=True)] == [True]


def test_a_file_that_shadows_the_promoted_one_is_marked() -> None:
    """Who may upload to company/dev could else replace what everybody tested on company/prod."""
    dev = FakeIndex({WHEEL: (f"/company/dev/+f/ab/{WHEEL}", "ab")}, configs=TEAM)
    prod = FakeIndex({WHEEL: (f"/company/prod/+f/cd/{WHEEL}", "cd")}, configs=TEAM)

    def both(url: str, accept: str) -> index.Response:
        return (prod if "/company/prod/" in url else dev)(url, accept)

    (shadow,) = index.company_files(INDEX, "app", both)
    assert (shadow.company, shadow.differs) == (True, f"{ROOT}/company/prod")
    assert index.company_files(f"{ROOT}/company/prod", "app", prod)[0].differs is None

"""The entry of a file whose address is known before its page is."""

from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.files import lookup
from mirror.plugin.simple import filenames
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness

PATH = "root/pypi/+f/abc/0123456789abc/foo-1-2.tar.gz"  # foo 1-2, or foo-1 2


class _Mirror(CachingStage):
    """Gives an answer for each project, in the order in which they are asked for; lists `PATH` with one."""

    def __init__(self, *answers: object, lists: str = "") -> None:
        self.asked: list[str] = []
        self._answers = iter(answers)
        self._lists = lists

    @property
    def files(self) -> Any:  # noqa: ANN401 (devpi is untyped)
        """devpi's FileStore."""
        return SimpleNamespace(get_file_entry=self._entry)

    def refresh(self, project: str) -> Freshness:
        self.asked.append(project)
        answer = next(self._answers, None) or Freshness()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Freshness)
        return answer

    def _entry(self, path: str) -> Any:  # noqa: ANN401 (devpi is untyped)
        return SimpleNamespace(meta={"url": path} if self._lists in self.asked else {})


def missing() -> Exception:
    """The upstream has no such project."""
    return CachingStage.UpstreamNotFoundError("no such project")


@pytest.mark.parametrize("project", ["foo", "foo-1"])
def test_a_file_is_found_on_the_page_of_its_project(project: str) -> None:
    """Also when its name could be that of another."""
    stage = _Mirror(lists=project)
    stage._answers = iter(
        None if name == project else missing() for name in filenames.projects_of("foo-1-2.tar.gz")
    )
    assert lookup.find(stage.files, stage, PATH).meta["url"] == PATH
    assert stage.asked[-1] == project


def test_not_found_is_what_no_project_lists() -> None:
    """404 is true then."""
    stage = _Mirror()
    with pytest.raises(GatewayError) as raised:
        lookup.find(stage.files, stage, PATH)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    "answer", [GatewayError(503, "down"), Freshness(age=60.0, error=GatewayError(503, "down"))]
)
def test_nobody_is_told_that_there_is_no_file_while_a_page_may_list_it(answer: object) -> None:
    """An old page that lists it not is no proof."""
    stage = _Mirror(answer)
    with pytest.raises(GatewayError, match="down"):
        lookup.find(stage.files, stage, PATH)


@pytest.mark.parametrize(
    "path",
    [
        *("root/pypi/demo-1.0.zip", "root/pypi/+f/abc/0/x/demo-1.0.zip", ""),
        *("root/pypi/+e/../demo-1.0.zip", "root/pypi/+f/abc/0123456789abc/..", "root/pypi/+e/./demo-1.0.zip"),
    ],
)
def test_an_address_that_cannot_be_one_costs_no_question(path: str) -> None:
    """Anybody can make them up."""
    stage = _Mirror()
    with pytest.raises(GatewayError):
        lookup.find(stage.files, stage, path)
    assert stage.asked == []


@pytest.mark.parametrize(("serves", "status"), [(False, 404), (GatewayError(403, "denied"), 403)])
def test_a_replica_that_finds_no_file_says_what_its_primary_says(serves: object, status: int) -> None:
    """Its pages have none that the primary denies."""
    stage = _Mirror()

    def ask(path: str) -> bool:
        assert path == PATH
        if isinstance(serves, Exception):
            raise serves
        return bool(serves)

    with pytest.raises(GatewayError) as raised:
        lookup.find_on_replica(lookup.find, stage.files, stage, PATH, ask)
    assert raised.value.status == status


def test_a_replica_asks_for_a_page_again_that_lacks_what_its_primary_has() -> None:
    """A page may be shown for half an hour before anybody asks for it again."""
    expired: list[str] = []

    class _Behind(_Mirror):
        def expire(self, project: str) -> None:
            expired.append(project)

        def sro(self) -> Any:  # noqa: ANN401 (as devpi's)
            return [self]

        def _entry(self, path: str) -> Any:  # noqa: ANN401 (devpi is untyped)
            return SimpleNamespace(meta={"url": path} if expired else {})

    stage = _Behind()
    found = lookup.find_on_replica(lookup.find, stage.files, stage, PATH, lambda _: True)
    assert (found.meta["url"], expired) == (PATH, list(filenames.projects_of("foo-1-2.tar.gz")))

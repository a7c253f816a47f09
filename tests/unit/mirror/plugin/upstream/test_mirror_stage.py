"""When a mirror asks its upstream for a page, and what it shows when the upstream does not answer."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_server.mirror import ProjectUpdateCache

from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness
from mirror.plugin.upstream.negative_cache import NegativeCache
from mirror.plugin.upstream.page_cache import CachedPage, PageInfo

URL = "https://example.com/simple/demo/"


class Mirror(CachingStage):
    """A mirror without devpi: `answers` are what its upstream says, in order; `cached` is its page."""

    cache_expiry: Any = 1800.0
    cache_retrieve_times: Any = None
    gone: Any = None
    name: Any = "root/pypi"
    offline: Any = False

    def __init__(self, *answers: object, cached: CachedPage | None = None) -> None:
        self.answers = list(answers)
        self.cached = cached
        self.gone = NegativeCache()
        self.cache_retrieve_times = ProjectUpdateCache()

    def _ask(self, project: str, *, has_old: bool) -> None:
        assert has_old == (self.cached is not None)
        answer = self.answers.pop(0)
        if isinstance(answer, GatewayError):
            raise answer
        if answer is None:
            self.gone.add(project, 60)
        else:
            self.cached = page(URL)
            self.cache_retrieve_times.refresh(project, None)

    def _known(self, project: str) -> CachedPage | None:  # noqa: ARG002 (as CachingStage has it)
        return self.cached

    def key_projsimplelinks(self, project: str) -> Any:  # noqa: ANN401, ARG002 (devpi's)
        return SimpleNamespace(get=dict)

    def _page_url(self, project: str) -> str:
        return URL.replace("demo", project)


def page(url: str, fetched: int = 0) -> CachedPage:
    """A page that was fetched from `url`."""
    return CachedPage(ProjectDetail("demo"), PageInfo(url, fetched, None, -1))


DOWN = GatewayError(503, "down")


def test_a_page_is_asked_for_once_as_long_as_it_is_fresh() -> None:
    """In whatever spelling."""
    mirror = Mirror("a page")
    first, second = mirror.refresh("demo"), mirror.refresh("Demo")
    assert first == second
    assert (first.age, first.counts, mirror.answers) == (None, True, [])
    assert first.until == pytest.approx(time.time() + 1800, abs=60)


def test_a_project_that_the_upstream_does_not_have_is_asked_for_once() -> None:
    """For a minute."""
    mirror = Mirror(None)
    for _ in range(2):
        with pytest.raises(mirror.UpstreamNotFoundError):
            mirror.refresh("demo")


def test_a_project_without_a_page_is_never_an_empty_page() -> None:
    """Even when what the upstream said is forgotten at once."""
    mirror = Mirror(None)
    mirror.gone = _Forgetful()
    with pytest.raises(mirror.UpstreamNotFoundError):
        mirror.refresh("demo")


class _Forgetful(NegativeCache):
    def __contains__(self, project: str) -> bool:
        return False


def test_while_the_upstream_is_down_an_old_page_is_shown_with_its_age_and_the_reason() -> None:
    """A client may want to know; a page must not be published as fresh."""
    mirror = Mirror(DOWN, cached=page(URL, int(time.time()) - 7200))
    freshness = mirror.refresh("demo")
    assert (freshness.error, freshness.counts) == (DOWN, False)
    assert freshness.age == pytest.approx(7200, abs=60)


def test_without_an_old_page_trouble_is_trouble() -> None:
    """Never an empty list, never "not found"."""
    with pytest.raises(GatewayError):
        Mirror(DOWN).refresh("demo")


def test_a_page_of_another_upstream_is_not_fresh() -> None:
    """mirror_url may be changed at any time."""
    mirror = Mirror("a page", cached=page("https://old.example.com/demo/"))
    mirror.cache_retrieve_times.refresh("demo", None)
    mirror.refresh("demo")
    assert mirror.answers == []


def test_a_name_that_no_project_can_have_is_not_asked_for() -> None:
    """Anybody can make them up."""
    with pytest.raises(CachingStage.UpstreamNotFoundError):
        Mirror().refresh("..")


@pytest.mark.parametrize(
    ("freshness", "counts"),
    [
        (Freshness(), True),
        (Freshness(time.time() + 86_400), True),  # it is made when tests are collected
        (Freshness(time.time()), False),
        (Freshness(age=1.0), False),
    ],
)
def test_what_is_nearly_over_or_old_counts_as_no_freshness(freshness: Freshness, counts: bool) -> None:  # noqa: FBT001 (parametrised)
    """nginx would show it without asking."""
    assert freshness.counts is counts

"""Which projects of a bundle are the company's own."""

from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.admin import bundle_views
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness

NOT_THERE = CachingStage.UpstreamNotFoundError("no project")
OFFLINE = GatewayError(503, "offline: the page of demo is not asked for")


class _Upstream(CachingStage):
    """The cache of an upstream that gives one answer."""

    name = "root/pypi"

    def __init__(self, answer: Exception | None, *, cached: bool) -> None:
        self.answer, self.cached = answer, cached

    def is_project_cached(self, project: str) -> bool:
        assert project == "demo"
        return self.cached

    def refresh(self, project: str) -> Freshness:
        assert project == "demo"
        if self.answer:
            raise self.answer
        return Freshness()


@pytest.mark.parametrize(
    ("answer", "cached", "why"),
    [
        (None, False, "root/pypi has a project of this name"),
        (OFFLINE, True, "root/pypi has a project of this name"),
        (NOT_THERE, False, ""),
        (OFFLINE, False, f"root/pypi may have a project of this name ({OFFLINE.text})"),
    ],
)
def test_a_project_is_public_when_an_upstream_has_it_whether_it_was_ever_asked_for(
    answer: Exception | None, *, cached: bool, why: str
) -> None:
    """An upload reserves the name: all later versions of a public project would be hidden from then on."""
    uploads = SimpleNamespace(name="company/dev")
    stage: Any = SimpleNamespace(sro=lambda: [uploads, _Upstream(answer, cached=cached)])
    assert bundle_views.why_public(stage, "demo") == why
    assert bundle_views.why_public(SimpleNamespace(sro=lambda: [uploads]), "demo") == ""

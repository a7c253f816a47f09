"""Permission to make a mirror ask its upstream for the page of a file; the rest is in tests/integration."""

from types import SimpleNamespace

import pytest
from pyramid.httpexceptions import HTTPForbidden

from mirror.plugin.patches import file_views
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness


class _Mirror(CachingStage):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def refresh(self, project: str) -> Freshness:
        self.asked.append(project)
        return Freshness()


def test_nothing_is_asked_for_who_may_not_read() -> None:
    """What exists is not for them, and the upstream is not theirs to be busy with."""
    stage = _Mirror()
    view = SimpleNamespace(
        request=SimpleNamespace(method="GET", has_permission=lambda _: False),
        context=SimpleNamespace(stage=stage),
        xom=SimpleNamespace(filestore=SimpleNamespace(get_file_entry=lambda _: None)),
        _relpath_from_request=lambda: "root/pypi/+f/abc/0123456789abc/demo-1.0.tar.gz",
    )
    with pytest.raises(HTTPForbidden):
        file_views._with_lookup(pytest.fail)(view)
    assert stage.asked == []

"""Permission to make a mirror ask its upstream for the page of a file; the rest is in tests/integration."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from devpi_server.main import XOM
from pyramid.httpexceptions import HTTPForbidden

from mirror.plugin.audit import tween
from mirror.plugin.guards.guards import DeniedError
from mirror.plugin.patches.views import file_views
from mirror.plugin.policy.evaluation import Denial
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


def _deny(*_: object) -> NoReturn:
    raise DeniedError("denied", Denial("deny", "", "evil"))


@pytest.mark.parametrize(
    ("may_read", "check", "error"),
    [(False, pytest.fail, HTTPForbidden), (True, _deny, DeniedError), (True, print, StopIteration)],
)
def test_devpis_record_of_a_file_is_judged_as_the_file(
    monkeypatch: pytest.MonkeyPatch,
    may_read: bool,  # noqa: FBT001 (parametrised)
    check: Callable[..., Any],
    error: type[Exception],
) -> None:
    """It has the address of the file upstream."""

    def record(*_: object) -> NoReturn:
        raise StopIteration

    request = SimpleNamespace(
        headers={"Accept": "application/json"}, environ={}, has_permission=lambda _: may_read
    )
    xom = XOM.__new__(XOM)
    view = SimpleNamespace(request=request, context=SimpleNamespace(stage=None), xom=xom)
    monkeypatch.setattr(file_views, "_ours", {xom: SimpleNamespace(guards=SimpleNamespace(check=check))})
    monkeypatch.setattr(file_views, "_STOCK", record)
    monkeypatch.setattr(tween, "denied", lambda *_, **__: None)
    entry = SimpleNamespace(meta={"url": "https://x"}, project="evil", basename="evil-1.0.zip")
    with pytest.raises(error):
        file_views._serve(view, entry)

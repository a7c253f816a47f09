"""Questions of a replica to its primary, and the threads that wait for the answers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from mirror.plugin.upstream import primary
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient

PATH = "root/pypi/+f/abc/0123456789abc/demo-1.0.zip"
XOM: Any = SimpleNamespace(
    replica_thread=SimpleNamespace(http=SimpleNamespace(get_extra_headers=lambda _: {})),
    config=SimpleNamespace(primary_url=SimpleNamespace(url="https://primary.example.com/")),
)


class _Primary(UpstreamClient):
    """Gives one answer; three requests may wait at once, two of them of one client."""

    def __init__(self, answer: bytes | GatewayError = b"") -> None:
        config = SimpleNamespace(request_timeout=1, args=SimpleNamespace(threads=4))
        stock = SimpleNamespace(headers={}, _ssl_context=None)
        hosts: Any = None
        super().__init__(SimpleNamespace(new_http_client=lambda _: stock, config=config), hosts)
        self.asked: list[str] = []
        self._answer = answer

    def stream(self, url: str, upstream: Upstream, **_: object) -> AbstractContextManager[httpx.Response]:  # type: ignore[override]
        assert upstream.is_primary
        self.asked.append(url)
        if isinstance(self._answer, GatewayError):
            raise self._answer
        return nullcontext(httpx.Response(200, stream=httpx.ByteStream(self._answer)))


def test_a_file_is_what_the_primary_serves() -> None:
    """404 is an answer; why a policy denies it is told, and so is that nobody knows."""
    asks = _Primary()
    assert primary.serves(asks, XOM, "a", PATH)
    assert asks.asked == [f"https://primary.example.com/{PATH}"]
    assert not primary.serves(_Primary(GatewayError(404, "none")), XOM, "a", PATH)
    for status in (403, 502):
        with pytest.raises(GatewayError) as raised:
            primary.serves(_Primary(GatewayError(status, "no")), XOM, "a", PATH)
        assert raised.value.status == status


def test_decisions_are_those_of_the_primary() -> None:
    """What is none is its fault, not the client's."""
    asks = _Primary(b'{"result": {"files": []}}')
    assert primary.decisions(asks, XOM, "a", "root/pypi", "demo") == {"files": []}
    assert asks.asked == ["https://primary.example.com/root/pypi/+why/demo"]
    for content in (b"", b"[]", b"{}"):
        with pytest.raises(GatewayError, match="does not say") as raised:
            primary.decisions(_Primary(content), XOM, "a", "root/pypi", "demo")
        assert raised.value.status == 502


@pytest.mark.parametrize(
    "ask",
    [
        lambda asks, client: primary.serves(asks, XOM, client, PATH),
        lambda asks, client: primary.decisions(asks, XOM, client, "root/pypi", "demo"),
    ],
    ids=["serves", "decisions"],
)
def test_no_client_takes_all_threads_that_may_wait_for_the_primary(
    ask: Callable[[UpstreamClient, str], object],
) -> None:
    """Anybody can ask for files that nobody has: the others are to get theirs meanwhile."""
    asks = _Primary(b'{"result": {}}')
    with ExitStack() as waiting:
        for _ in range(2):
            waiting.enter_context(asks.slot("a"))
        with pytest.raises(GatewayError, match="too many requests"):
            ask(asks, "a")
        ask(asks, "b")

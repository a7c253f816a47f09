"""How many requests go to upstreams at once, and through which connections."""

import ssl
from types import SimpleNamespace

import pytest

from mirror.plugin.upstream import client
from mirror.plugin.upstream.client import GatewayError, UpstreamClient


def fetcher() -> UpstreamClient:
    """As devpi-server would make it; it asks nobody here."""
    stock = SimpleNamespace(headers={}, _ssl_context=ssl.create_default_context())
    config = SimpleNamespace(request_timeout=0.05, args=SimpleNamespace(threads=4))
    return UpstreamClient(SimpleNamespace(new_http_client=lambda _: stock, config=config))


def test_connections_that_were_used_last_are_used_next() -> None:
    """They are alive; and no two requests share a client, whose lock they would wait for."""
    asks = fetcher()
    with asks._client() as first, asks._client() as second:
        assert first is not second
    with asks._client() as next_one:
        assert next_one is first


def test_who_finds_all_connections_in_use_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits for ever keeps a thread of the server for ever."""
    monkeypatch.setattr(client, "AT_ONCE", 1)
    asks = fetcher()
    with asks._client(), pytest.raises(GatewayError) as raised, asks.stream("https://example.com/", None):
        pass
    assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "1"})
    with asks._client():
        pass

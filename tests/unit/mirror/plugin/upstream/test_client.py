"""Requests to upstreams: through which connections, how many at once, and what their answers mean."""

import gzip
import ssl
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from mirror.plugin.upstream import client
from mirror.plugin.upstream.allowed_hosts import AllowedHosts
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient

INDEX = Upstream("https://example.com/simple/")


def fetcher() -> UpstreamClient:
    """As devpi-server would make it; it asks nobody here."""
    stock = SimpleNamespace(headers={}, _ssl_context=ssl.create_default_context())
    config = SimpleNamespace(request_timeout=0.05, args=SimpleNamespace(threads=4))
    xom = SimpleNamespace(new_http_client=lambda _: stock, config=config)
    return UpstreamClient(xom, AllowedHosts((), Path("unused")))


def test_connections_that_were_used_last_are_used_next() -> None:
    """They are alive; and no two requests share a client, whose lock they would wait for."""
    asks = fetcher()
    with asks._client(INDEX) as first, asks._client(INDEX) as second:
        assert first is not second
    with asks._client(INDEX) as next_one:
        assert next_one is first


def test_who_finds_all_connections_in_use_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits for ever keeps a thread of the server for ever."""
    monkeypatch.setattr(client, "AT_ONCE", 1)
    asks = fetcher()
    with (
        asks._client(INDEX),
        pytest.raises(GatewayError) as raised,
        asks.stream("https://example.com/", INDEX),
    ):
        pass
    assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "1"})
    with asks._client(INDEX):
        pass


def answering(status: int, content: bytes = b"", **headers: str) -> UpstreamClient:
    """A client whose upstream gives this answer."""
    asks = fetcher()

    def handle(_: httpx.Request) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, headers=named, stream=httpx.ByteStream(content))

    asks._new_client = lambda: httpx.Client(transport=httpx.MockTransport(handle))
    return asks


@pytest.mark.parametrize(
    ("answer", "status", "retry_after"),
    [
        (404, 404, None),
        (410, 404, None),
        (403, 502, "3"),
        (304, 502, "3"),
        (500, 503, "3"),
        (503, 503, "3"),
    ],
)
def test_only_an_upstreams_404_is_one(answer: int, status: int, retry_after: str | None) -> None:
    """Everything else may pass, or is the upstream's mistake."""
    with pytest.raises(GatewayError) as raised, answering(answer).stream("https://example.com/x", INDEX):
        pass
    assert (raised.value.status, raised.value.headers.get("Retry-After")) == (status, retry_after)


@pytest.mark.parametrize("body", [b"demo is denied\n", b'{"message": "demo is denied"}'])
def test_what_a_primary_denies_its_replica_denies_in_the_same_words(body: bytes) -> None:
    """The 403 of another upstream is its own trouble, and a 502."""
    primary = Upstream("https://example.com/", is_primary=True)
    with pytest.raises(GatewayError) as raised, answering(403, body).stream("https://example.com/x", primary):
        pass
    assert (raised.value.status, raised.value.text) == (403, "demo is denied")


@pytest.mark.parametrize(
    ("stated", "given"), [("9", "9"), ("Fri, 20 Nov 2026 12:00:00 GMT", "3"), ("9" * 5000, "3")]
)
def test_an_upstream_says_when_to_come_back(stated: str, given: str) -> None:
    """In seconds; a date would be one of another clock."""
    asks = answering(429, Retry_After=stated)
    with pytest.raises(GatewayError) as raised, asks.stream("https://example.com/x", INDEX):
        pass
    assert raised.value.headers == {"Retry-After": given}


def test_a_page_that_has_not_changed_is_an_answer_to_who_asked_so() -> None:
    """Others would take it for an empty page."""
    headers = {"If-None-Match": '"x"'}
    with answering(304).stream("https://example.com/x", INDEX, headers=headers) as answer:
        assert answer.status_code == 304


def test_a_body_is_read_as_it_is_sent_to_its_end_or_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes on the wire may be gigabytes when they are unpacked, or come for ever."""
    packed = gzip.compress(bytes(1_000_000))
    asks = answering(200, packed, Content_Encoding="gzip")
    with asks.stream("https://example.com/x", INDEX) as answer:
        assert client.read_body(answer, len(packed)) == packed
    with (
        pytest.raises(GatewayError, match=f"more than {len(packed) - 1} bytes"),
        asks.stream("https://example.com/", INDEX) as answer,
    ):
        client.read_body(answer, len(packed) - 1)
    monkeypatch.setattr(client, "LONGEST", -1)
    with (
        pytest.raises(GatewayError, match="takes more than"),
        asks.stream("https://example.com/", INDEX) as answer,
    ):
        client.read_body(answer, len(packed))


def test_large_pages_of_one_upstream_take_so_much_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones always have their own, and so have those of other upstreams."""
    monkeypatch.setattr(client, "PAGE_MEMORY", 1000)
    asks, other = fetcher(), Upstream("https://other.example.com/")
    with asks.page_memory(INDEX) as large, asks.page_memory(INDEX) as next_one:
        large(client.SMALL_PAGE + 900)
        next_one(client.SMALL_PAGE + 100)
        with pytest.raises(GatewayError, match="too many large pages") as raised:
            next_one(client.SMALL_PAGE + 101)
        assert raised.value.status == 503
        with asks.page_memory(other) as elsewhere, asks.page_memory(INDEX) as small:
            elsewhere(client.SMALL_PAGE + 1000)
            small(client.SMALL_PAGE)
    with asks.page_memory(INDEX) as again:
        again(client.SMALL_PAGE + 1000)


def test_an_upstream_that_does_not_answer_uses_up_no_connections_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred requests to it may hang."""
    monkeypatch.setattr(client, "AT_ONCE", 1)
    asks = fetcher()
    with asks._client(INDEX), asks._client(Upstream("https://other.example.com/")):
        pass


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://example.com/files/demo.whl", "Basic eA=="),
        ("https://example.com:443/files/demo.whl", "Basic eA=="),
        ("https://files.example.com/demo.whl", None),
        ("http://example.com/demo.whl", None),
        ("https://example.com:8443/demo.whl", None),
    ],
)
def test_a_login_is_for_the_server_that_it_was_given_for(url: str, login: str | None) -> None:
    """A page may name any host."""
    index = Upstream("https://example.com/simple/", {"Authorization": "Basic eA=="})
    with answering(200).stream(url, index) as answer:
        assert answer.request.headers.get("Authorization") == login


def test_an_upstream_is_asked_with_the_login_in_its_url_and_a_replica_has_none() -> None:
    """It is no part of URLs, which are logged."""
    stage = SimpleNamespace(
        ixconfig={"mirror_url": "https://user:pw@example.com/simple"},
        mirror_url_authorization_header="Basic eA==",
        xom=SimpleNamespace(is_replica=lambda: False),
    )
    login = {"Authorization": "Basic eA=="}
    assert client.upstream_of(stage) == Upstream("https://example.com/simple/", login)
    stage.xom = SimpleNamespace(is_replica=lambda: True)
    assert client.upstream_of(stage) == Upstream("https://example.com/simple/")


def test_threads_that_wait_for_upstreams_are_limited() -> None:
    """The rest answers from the cache."""
    asks = fetcher()  # of a server with four threads
    with asks.slot(), asks.slot(), asks.slot(), pytest.raises(GatewayError, match="too many"), asks.slot():
        pass
    with asks.slot():
        pass


def test_an_error_can_be_raised_for_each_client() -> None:
    """With the same words, and a time of its own."""
    error = GatewayError(503, "down", "9")
    assert (error.again().text, error.again().headers, error.again("1").headers) == (
        "down",
        {"Retry-After": "9"},
        {"Retry-After": "1"},
    )
    assert GatewayError(404, "none").again().headers == {}


def test_no_client_takes_all_threads_that_may_wait() -> None:
    """The pages of others would be refused for as long as its own take."""
    asks = fetcher()  # three of its four threads may wait, two of them for one client
    with asks.slot("a"), asks.slot("a"):
        with pytest.raises(GatewayError, match="too many"), asks.slot("a"):
            pass
        with asks.slot("b"), pytest.raises(GatewayError, match="too many"), asks.slot("c"):
            pass
    with asks.slot("a"):
        pass

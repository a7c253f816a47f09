"""Requests for project pages: what is asked, what each answer means, and when it is asked again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import httpx
import pytest

from mirror.plugin.simple import content_types
from mirror.plugin.simple.file_rows import Summary
from mirror.plugin.simple.parse import InvalidPageError
from mirror.plugin.upstream import page_request
from mirror.plugin.upstream.client import GatewayError, UpstreamClient
from mirror.plugin.upstream.client import Upstream as Source
from mirror.plugin.upstream.page_cache import PageInfo
from mirror.plugin.upstream.page_request import PageRequest
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest, ParserProcess

URL = "https://index.example.com/simple/demo/"
INDEX = Source("https://index.example.com/simple/", {"Authorization": "Basic eA=="})
REQUEST = PageRequest("root/pypi", "demo", URL, INDEX, '"old"', of_primary=False)


@dataclass
class Upstream:
    """An UpstreamClient and a ParserProcess: gives the answers in turn, and keeps what was asked."""

    answers: list[httpx.Response | GatewayError]
    invalid: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    parsed: list[ParseRequest] = field(default_factory=list)

    @contextmanager
    def stream(self, url: str, upstream: Source, *, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        assert (url, upstream) == (URL, INDEX)
        self.asked.append(headers)
        answer = self.answers.pop(0)
        if isinstance(answer, GatewayError):
            raise answer
        yield answer

    @contextmanager
    def page_memory(self, upstream: Source) -> Iterator[Callable[[int], None]]:
        assert upstream == INDEX
        yield lambda _: None

    def read(self, page: ParseRequest) -> ParsedPage:
        if self.invalid:
            raise InvalidPageError(self.invalid)
        self.parsed.append(page)
        return ParsedPage(b"parsed", Summary((), "", has_yanks=False), ())


def answer(status: int = 200, content: bytes = b"page", **headers: str) -> httpx.Response:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    body = httpx.ByteStream(content)
    return httpx.Response(status, headers=named, stream=body, request=httpx.Request("GET", URL))


def broken(cause: Exception) -> GatewayError:
    """What UpstreamClient raises for `cause`."""
    error = GatewayError(503, "no answer")
    error.__cause__ = cause
    return error


def fetch(upstream: Upstream, request: PageRequest = REQUEST) -> ParsedPage | None:
    return page_request.fetch(cast("UpstreamClient", upstream), cast("ParserProcess", upstream), request)


def test_a_page_is_parsed_with_all_that_its_headers_tell() -> None:
    """The next request names the ETag; the serial tells which of two pages is older."""
    upstream = Upstream([answer(Content_Type="text/html", ETag='"new"', X_PyPI_Last_Serial="7")])
    page = fetch(upstream)
    assert page is not None
    (parsed,) = upstream.parsed
    assert (parsed.index, parsed.project, parsed.of_primary) == ("root/pypi", "demo", False)
    assert (parsed.body.content_type, parsed.body.url, parsed.body.content) == ("text/html", URL, b"page")
    assert parsed.about == PageInfo(URL, parsed.about.fetched, '"new"', 7)
    (headers,) = upstream.asked
    assert headers["If-None-Match"] == '"old"'
    assert headers["Accept"].startswith(content_types.JSON)


@pytest.mark.parametrize("etag", ['"\u00e9\u00ff"', '"\u4e2d"', f'"{"x" * 1000}"', "\x7f"])
def test_an_etag_that_no_request_can_have_is_not_kept_nor_sent(etag: str) -> None:
    """Each further question for the page would fail. Earlier versions have kept such ETags."""
    upstream = Upstream([answer(ETag=etag)])
    fetch(upstream, replace(REQUEST, etag=etag))
    assert "If-None-Match" not in upstream.asked[0]
    assert upstream.parsed[0].about.etag is None


@pytest.mark.parametrize("serial", ["", "-1", "seven", "9" * 5000, "\u0663"])
def test_a_serial_that_is_no_number_is_none(serial: str) -> None:
    """Most indexes send none. Python reads none of 4,301 digits."""
    upstream = Upstream([answer(X_PyPI_Last_Serial=serial)])
    fetch(upstream)
    assert upstream.parsed[0].about.serial == -1


def test_an_unchanged_page_is_not_parsed() -> None:
    """304 has no body."""
    upstream = Upstream([answer(304)])
    assert fetch(upstream) is None
    assert upstream.parsed == []


@pytest.mark.parametrize("cause", [httpx.ReadError(""), httpx.WriteError(""), httpx.RemoteProtocolError("")])
def test_a_connection_that_was_closed_meanwhile_is_no_failure(cause: Exception) -> None:
    """A server may close a kept connection while a request is on its way: once more, on another."""
    upstream = Upstream([broken(cause), answer()])
    assert fetch(upstream) is not None
    assert len(upstream.asked) == 2


def test_what_fails_twice_has_failed() -> None:
    """An upstream in trouble is not asked again and again."""
    upstream = Upstream([broken(httpx.ReadError("")), broken(httpx.ReadError("")), answer()])
    with pytest.raises(GatewayError, match="no answer"):
        fetch(upstream)


@pytest.mark.parametrize(("given", "shown"), [(404, 404), (502, 503), (503, 503)])
def test_only_not_found_is_passed_on_as_such(given: int, shown: int) -> None:
    """Clients ask again after 503 alone; a page is never wrong for ever."""
    upstream = Upstream([GatewayError(given, "told so", "9")])
    with pytest.raises(GatewayError, match="told so") as raised:
        fetch(upstream)
    assert raised.value.status == shown
    assert raised.value.headers == ({} if shown == 404 else {"Retry-After": "9"})


def test_what_is_no_page_is_503_with_the_reason() -> None:
    """A captive portal goes away."""
    with pytest.raises(GatewayError, match="answer for demo is HTML that is cut off") as raised:
        fetch(Upstream([answer()], invalid="HTML that is cut off"))
    assert raised.value.status == 503


def test_a_page_larger_than_memory_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the parser's process that unpacks it."""
    monkeypatch.setattr(page_request, "LARGEST", 10)
    with pytest.raises(GatewayError):
        fetch(Upstream([answer(content=b"x" * 11)]))


@pytest.mark.parametrize(
    ("given", "empty"),
    [
        (
            answer(
                content=json.dumps({"meta": {}, "projects": []}).encode(), Content_Type=content_types.JSON
            ),
            True,
        ),
        (answer(content=b"<h1>Log in</h1>", Content_Type="text/html"), False),
        (GatewayError(503, "no answer"), False),
    ],
)
def test_an_index_without_projects_must_say_so(
    given: httpx.Response | GatewayError,
    empty: bool,  # noqa: FBT001 (a test's parameter)
) -> None:
    """Whatever is not sure is no empty list."""
    upstream = cast("UpstreamClient", Upstream([given]))
    assert page_request.lists_no_project(upstream, URL, INDEX) is empty

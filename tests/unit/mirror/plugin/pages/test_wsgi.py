"""What is answered from the page store before pyramid sees the request, and what is not."""

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mirror.plugin import gzip_bytes
from mirror.plugin.audit import tween
from mirror.plugin.pages.store import PageKey, PageStore
from mirror.plugin.pages.wsgi import PageMiddleware
from mirror.plugin.simple.content_types import JSON

PATH = "/company/dev/+simple/flask/"


def devpi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:  # noqa: ARG001 (WSGI)
    start_response("200 OK", [])
    return [b"from devpi"]


@pytest.fixture
def store(tmp_path: Path) -> PageStore:
    """One JSON page is kept."""
    store = PageStore(tmp_path / "pages")
    store.empty()
    store.keep(PageKey("company/dev", "flask"), ".json.gz", gzip_bytes.compress(b"{}"), is_true=lambda: True)
    store.move(PageKey("company/dev", "flask"), fresh=True)
    return store


def asked(store: PageStore, **environ: str) -> tuple[str, dict[str, str], bytes]:
    """The answer to a request for the page, in JSON unless `environ` says otherwise."""
    said: list[Any] = []
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": PATH, "HTTP_ACCEPT": JSON, **environ}
    body = PageMiddleware(devpi, store)(request, lambda *answer: said.extend(answer))
    return said[0], dict(said[1]), b"".join(body)


def test_a_kept_page_is_answered_in_the_form_that_was_asked_for(store: PageStore) -> None:
    """This is nearly all of the traffic."""
    status, headers, body = asked(store)
    assert (status, headers["Content-Type"], headers["Content-Length"], body) == ("200 OK", JSON, "2", b"{}")
    _, headers, body = asked(store, HTTP_ACCEPT_ENCODING="gzip, deflate")
    assert (headers["Content-Encoding"], gzip.decompress(body)) == ("gzip", b"{}")
    assert headers["Content-Length"] == str(len(body))


def test_a_client_that_has_it_is_told_so(store: PageStore) -> None:
    """pip and uv ask each time."""
    etag = asked(store, HTTP_ACCEPT_ENCODING="gzip")[1]["ETag"]
    status, headers, body = asked(store, HTTP_IF_NONE_MATCH=f'{etag}, "other"', HTTP_ACCEPT_ENCODING="gzip")
    assert (status, headers["ETag"], body) == ("304 Not Modified", etag, b"")


def test_a_page_that_was_decompressed_has_the_weak_tag_that_nginx_gives_it(store: PageStore) -> None:
    """The strong one is that of other bytes; nginx, or we, may answer the next question."""
    etag = asked(store, HTTP_ACCEPT_ENCODING="gzip")[1]["ETag"]
    assert asked(store)[1]["ETag"] == f"W/{etag}"
    assert asked(store, HTTP_IF_NONE_MATCH=f"W/{etag}")[0] == "304 Not Modified"


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "POST"},
        {"PATH_INFO": "/company/dev/+simple/flask"},
        {"PATH_INFO": "/company/dev/+simple/Flask/"},
        {"PATH_INFO": "/company/prod/+simple/flask/"},
        {"QUERY_STRING": "format=text/html"},
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_ACCEPT": "image/png"},
        {"HTTP_X_DEVPI_REPLICA_UUID": "1234"},
        {"PATH_INFO": f"/company/dev/+simple/{'a' * 256}/"},
        {"PATH_INFO": f"/company/{'a' * 256}/+simple/flask/"},
    ],
)
def test_everything_else_is_devpis(store: PageStore, environ: dict[str, str]) -> None:
    """Writes, redirects, pages that are not kept, forms that we have not, replicas, no file's names."""
    assert asked(store, **environ)[2] == b"from devpi"


def test_head_has_the_headers_and_no_body(store: PageStore) -> None:
    """RFC 9110, 9.3.2."""
    _, headers, body = asked(store, REQUEST_METHOD="HEAD")
    assert (headers["Content-Length"], body) == ("2", b"")


def test_an_address_that_is_no_text_is_refused(store: PageStore) -> None:
    """pyramid would answer 500. After HEAD, a proxy would read a body as the next answer."""
    status, headers, body = asked(store, PATH_INFO="/company/dev/+simple/\xff/")
    assert (status, headers["Content-Length"]) == ("400 Bad Request", str(len(body)))
    headers_of_get = headers
    _, headers, body = asked(store, PATH_INFO="/company/dev/+simple/\xff/", REQUEST_METHOD="HEAD")
    assert (headers, body) == (headers_of_get, b"")
    assert asked(store, PATH_INFO="/company/dev/\xc3\xa4/")[2] == b"from devpi"


@pytest.mark.parametrize(("sent", "is_left_out"), [({"HTTP_X_REAL_IP": "192.0.2.1"}, True), ({}, False)])
def test_only_what_nginx_asks_twice_is_left_out_of_the_audit_log(
    store: PageStore, sent: dict[str, str], *, is_left_out: bool
) -> None:
    """Somebody else may guess passwords at its address."""
    seen: dict[str, Any] = {}

    def noting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.update(environ)
        return devpi(environ, start_response)

    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/+granted/company/dev", **sent}
    PageMiddleware(noting, store)(request, lambda *_: None)
    assert (tween.RECORDED in seen) == is_left_out

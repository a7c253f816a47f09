"""What is answered from the page store before pyramid sees the request, and what is not."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mirror.plugin.kept_pages import KeptPages
from mirror.plugin.negotiate import JSON
from mirror.plugin.page_store import PageStore, Place

PATH = "/company/dev/+simple/flask/"


def devpi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:  # noqa: ARG001 (WSGI)
    start_response("200 OK", [])
    return [b"from devpi"]


def asked(tmp_path: Path, **environ: str) -> tuple[str, dict[str, str], bytes]:
    """The answer to a request for a page that is kept, in JSON unless `environ` says otherwise."""
    store = PageStore(tmp_path / "pages")
    store.empty()
    store.keep(Place("company/dev", "flask"), {".json": b"{}", ".json.gz": b"packed"}, is_true=lambda: True)
    store.move(Place("company/dev", "flask"), fresh=True)
    said: list[Any] = []
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": PATH, "HTTP_ACCEPT": JSON, **environ}
    body = KeptPages(devpi, store)(request, lambda *answer: said.extend(answer))
    return said[0], dict(said[1]), b"".join(body)


def test_a_kept_page_is_answered_in_the_form_that_was_asked_for(tmp_path: Path) -> None:
    """This is nearly all of the traffic."""
    status, headers, body = asked(tmp_path)
    assert (status, headers["Content-Type"], headers["Content-Length"], body) == ("200 OK", JSON, "2", b"{}")
    _, headers, body = asked(tmp_path, HTTP_ACCEPT_ENCODING="gzip, deflate")
    assert (headers["Content-Encoding"], body) == ("gzip", b"packed")


def test_a_client_that_has_it_is_told_so(tmp_path: Path) -> None:
    """pip and uv ask each time."""
    etag = asked(tmp_path)[1]["ETag"]
    status, headers, body = asked(tmp_path, HTTP_IF_NONE_MATCH=f'W/{etag}, "other"')
    assert (status, headers["ETag"], body) == ("304 Not Modified", etag, b"")


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
    ],
)
def test_everything_else_is_devpis(tmp_path: Path, environ: dict[str, str]) -> None:
    """Writes, redirects, pages that are not kept, forms that we have not, replicas."""
    assert asked(tmp_path, **environ)[2] == b"from devpi"


def test_head_has_the_headers_and_no_body(tmp_path: Path) -> None:
    """RFC 9110, 9.3.2."""
    _, headers, body = asked(tmp_path, REQUEST_METHOD="HEAD")
    assert (headers["Content-Length"], body) == ("2", b"")

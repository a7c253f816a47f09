"""HTTP responses for stored pages: representation, ETag, 304 and staleness. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from mirror.plugin import gzip_bytes, responses
from mirror.plugin.pages import negotiate
from mirror.plugin.pages.store import StoredPage
from mirror.plugin.simple import content_types

STALE = "X-Packhorse-Stale"  # seconds since the upstream last confirmed what is shown
# Clients keep a page and ask each time whether it still is the one: a page never outlives an upload.
CACHE_CONTROL = "no-cache"
POLICY = "default-src 'none'"  # a page is links, of whose text upstreams have a part
VARY = "Accept, Accept-Encoding"


@dataclass(frozen=True)
class Representation:
    """Form of a page: its content type, and compressed or not."""

    content_type: str
    gzip: bool

    @property
    def kind(self) -> str:
        """Kind of the file that has it, one of store.KINDS."""
        return ".json.gz" if self.content_type == content_types.JSON else ".html.gz"


@dataclass(frozen=True)
class PageResponse:
    """Status, headers and body, as WSGI takes them."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = b""


@lru_cache(maxsize=1024)
def representation(
    accept: str | None, accept_encoding: str | None, query_format: str | None = None
) -> Representation | None:
    """Form for these headers and this `format` of the query; None when the client accepts none of ours."""
    content_type = negotiate.content_type(accept, query_format)
    return Representation(content_type, negotiate.takes_gzip(accept_encoding)) if content_type else None


def respond(
    environ: Mapping[str, Any], form: Representation, page: StoredPage, age: float | None = None
) -> PageResponse:
    """The page, or 304 when the client's copy still is the page; `age` in seconds if it is not fresh."""
    changed = _date(page.mtime)
    # Weak for bytes that are not those of the file, as nginx's gunzip has it (RFC 9110, 8.8.1).
    headers = [("ETag", page.etag if form.gzip else f"W/{page.etag}"), ("Last-Modified", changed)]
    headers += [("Cache-Control", CACHE_CONTROL), ("Vary", VARY), ("Content-Security-Policy", POLICY)]
    if age is not None:
        headers.append((STALE, str(int(age))))
    if responses.not_modified(environ, page.etag, changed):
        return PageResponse("304 Not Modified", headers)
    charset = "" if form.content_type == content_types.JSON else "; charset=utf-8"
    headers.append(("Content-Type", form.content_type + charset))
    if form.gzip:
        headers.append(("Content-Encoding", "gzip"))
    content = page.content if form.gzip else gzip_bytes.decompress(page.content)
    headers.append(("Content-Length", str(len(content))))
    return PageResponse("200 OK", headers, b"" if environ["REQUEST_METHOD"] == "HEAD" else content)


@lru_cache(maxsize=1024)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

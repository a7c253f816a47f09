"""A request's headers and a kept page in, the answer out: status, headers and body. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from mirror.plugin.pages.store import GZ, StoredPage
from mirror.plugin.simple import negotiate

STALE = "X-Packhorse-Stale"  # seconds since the upstream last confirmed what is shown
# Clients keep a page and ask each time whether it still is the one: a page never outlives an upload.
CACHE_CONTROL = "no-cache"
VARY = "Accept, Accept-Encoding"


@dataclass(frozen=True)
class Representation:
    """How a page is to be written for one client."""

    content_type: str
    gzip: bool

    @property
    def kind(self) -> str:
        return ".json" if self.content_type == negotiate.JSON else ".html"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files that will do, the best first: a page that is new is not packed yet."""
        return (self.kind + GZ, self.kind) if self.gzip else (self.kind,)


@dataclass(frozen=True)
class PageResponse:
    """What WSGI's `start_response` and body are made of."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = b""


@lru_cache(maxsize=1024)
def representation(
    accept: str | None, accept_encoding: str | None, wanted: str | None = None
) -> Representation | None:
    """The form for these headers and this `format` of the query; None when the client takes none of ours."""
    content_type = negotiate.content_type(accept, wanted)
    return Representation(content_type, negotiate.takes_gzip(accept_encoding)) if content_type else None


def respond(
    environ: Mapping[str, Any], form: Representation, page: StoredPage, age: float | None = None
) -> PageResponse:
    """The page, or that the client's copy still is the page; `age` in seconds if it is not fresh."""
    headers = [("ETag", page.etag), ("Cache-Control", CACHE_CONTROL), ("Vary", VARY)]
    headers.append(("Last-Modified", _date(page.mtime)))
    if age is not None:
        headers.append((STALE, str(int(age))))
    if _has_it(environ, page):
        return PageResponse("304 Not Modified", headers)
    charset = "" if form.content_type == negotiate.JSON else "; charset=utf-8"
    headers.append(("Content-Type", form.content_type + charset))
    headers.append(("Content-Length", str(len(page.content))))
    if page.packed:
        headers.append(("Content-Encoding", "gzip"))
    return PageResponse("200 OK", headers, b"" if environ["REQUEST_METHOD"] == "HEAD" else page.content)


def _has_it(environ: Mapping[str, Any], page: StoredPage) -> bool:
    """Whether the client's copy is this page (RFC 9110, 13.1.2; for GET a weak comparison will do)."""
    stated = environ.get("HTTP_IF_NONE_MATCH")
    if stated is not None:
        return stated.strip() == "*" or page.etag in re.findall(r'"[^"]*"', stated)
    return bool(environ.get("HTTP_IF_MODIFIED_SINCE") == _date(page.mtime))


@lru_cache(maxsize=1024)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

"""Request a project's page, or the list of all projects, from an upstream, or raise GatewayError."""

import time
from dataclasses import dataclass

import httpx

from mirror.plugin.simple import parse
from mirror.plugin.simple.parse import ACCEPT, InvalidPageError, RawPage
from mirror.plugin.upstream.allowed_hosts import HostRefusedError
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient, read_body
from mirror.plugin.upstream.page_cache import PageInfo
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest, ParserProcess

LARGEST = 100_000_000  # bytes of a page; packed, a few kB may mean gigabytes


@dataclass(frozen=True)
class PageRequest:
    """A page to ask for, and the ETag of the one that is here."""

    index: str  # "user/name"
    project: str  # normalised
    url: str
    upstream: Upstream
    etag: str | None  # of the page that is here
    of_primary: bool  # of a replica


def fetch(client: UpstreamClient, parser: ParserProcess, request: PageRequest) -> ParsedPage | None:
    """Return what the page says, None when it still is the one that is here.

    Raises GatewayError: 404 when the upstream has no such project, 502 when it leads to a host that is not
    allowed, 503 for everything else: a client can only ask again later.
    """
    try:
        return _fetch(client, parser, request)
    except GatewayError as error:
        # A kept connection may have been closed by the other side at this very moment.
        if isinstance(error.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
            return _fetch(client, parser, request)
        if error.status == 404 or isinstance(error.__cause__, HostRefusedError):
            raise
        raise GatewayError(503, error.text, error.headers["Retry-After"]) from error.__cause__


def lists_no_project(client: UpstreamClient, url: str, upstream: Upstream) -> bool:
    """Whether the index at `url` surely has no project."""
    try:
        with client.stream(url, upstream, headers={"Accept": ACCEPT}) as answer:
            return parse.lists_no_project(_raw_page(answer))
    except GatewayError:
        return False


def _fetch(client: UpstreamClient, parser: ParserProcess, request: PageRequest) -> ParsedPage | None:
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
    if request.etag:
        headers["If-None-Match"] = request.etag
    with client.stream(request.url, request.upstream, headers=headers) as answer:
        if answer.status_code == 304:
            return None
        page = _raw_page(answer)
    serial = answer.headers.get("X-PyPI-Last-Serial", "")
    about = PageInfo(
        request.url,
        int(time.time()),
        answer.headers.get("ETag"),
        int(serial) if serial.isdecimal() else -1,
    )
    try:
        return parser.read(ParseRequest(request.index, request.project, page, about, request.of_primary))
    except InvalidPageError as reason:
        raise GatewayError(503, f"the upstream's answer for {request.project} is {reason}") from reason


def _raw_page(answer: httpx.Response) -> RawPage:
    content = read_body(answer, LARGEST, decoded=True)
    return RawPage(answer.headers.get("Content-Type", ""), str(answer.url), content)

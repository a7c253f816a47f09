"""Request a project's page, or the list of all projects, from an upstream, or raise GatewayError."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from mirror.plugin.metrics import counters
from mirror.plugin.simple import parse
from mirror.plugin.simple.parse import ACCEPT, LARGEST, InvalidPageError, RawPage
from mirror.plugin.upstream import client as upstream_client
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient, read_body
from mirror.plugin.upstream.page_cache import PageInfo
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest, ParserProcess

_PARSING = counters.QUEUE.labels("parser")


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

    Raises GatewayError: 404 when the upstream has no such project, 503 for everything else: a client can
    only ask again later.
    """
    try:
        return _fetch(client, parser, request)
    except GatewayError as error:
        # A kept connection may have been closed by the other side at this very moment.
        if isinstance(error.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
            return _fetch(client, parser, request)
        if error.status == 404:
            raise
        raise GatewayError(503, error.text, error.headers["Retry-After"]) from error.__cause__


def lists_no_project(client: UpstreamClient, url: str, upstream: Upstream) -> bool:
    """Whether the index at `url` surely has no project."""
    try:
        with (
            client.page_memory(upstream) as grow,
            client.stream(url, upstream, headers={"Accept": ACCEPT}) as answer,
        ):
            return parse.lists_no_project(raw_page(answer, grow))
    except GatewayError:
        return False


def first_seen(
    client: UpstreamClient, index: str, project: str, primary: Upstream
) -> dict[str, list[str]] | None:
    """Times at which a replica's primary first saw files of a project; None of one that does not note them.

    Raises GatewayError.
    """
    url = f"{primary.url.rstrip('/')}/{index}/+first-seen/{project}"
    try:
        with client.stream(url, primary, headers={"Accept": "application/json"}) as answer:
            found: dict[str, list[str]] = json.loads(read_body(answer, LARGEST))["result"]
    except GatewayError as error:
        if error.status == 404:
            return None
        raise
    except (ValueError, KeyError) as error:
        raise GatewayError(
            503, f"the primary does not say when files of {project} were first seen"
        ) from error
    return found


def _fetch(client: UpstreamClient, parser: ParserProcess, request: PageRequest) -> ParsedPage | None:
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
    if etag := upstream_client.text_in(request.etag):  # earlier versions have kept others
        headers["If-None-Match"] = etag
    with client.page_memory(request.upstream) as grow:
        with client.stream(request.url, request.upstream, headers=headers) as answer:
            if answer.status_code == 304:
                return None
            page = raw_page(answer, grow)
        return _parse(parser, request, page, answer.headers)


def _parse(
    parser: ParserProcess, request: PageRequest, page: RawPage, headers: Mapping[str, str]
) -> ParsedPage:
    serial = upstream_client.number_in(headers.get("X-PyPI-Last-Serial"))
    about = PageInfo(
        request.url,
        int(time.time()),
        upstream_client.text_in(headers.get("ETag")),
        -1 if serial is None else serial,
    )
    try:
        with _PARSING.track_inprogress():
            return parser.read(ParseRequest(request.index, request.project, page, about, request.of_primary))
    except InvalidPageError as reason:
        raise GatewayError(503, f"the upstream's answer for {request.project} is {reason}") from reason


def raw_page(answer: httpx.Response, grow: Callable[[int], None]) -> RawPage:
    """The body as it is sent: only the parser's process unpacks it. `grow` is told its size."""
    content = read_body(answer, LARGEST, grow)
    headers = answer.headers
    return RawPage(
        headers.get("Content-Type", ""), str(answer.url), content, headers.get("Content-Encoding", "")
    )

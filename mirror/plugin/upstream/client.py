"""HTTP client for upstreams: kept connections, limits, and nothing of any client's request."""

import contextlib
import json
import queue
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from devpi_common.url import URL
from devpi_server.httpclient import OfflineHTTPClient

from mirror.plugin.metrics import counters
from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import LONGEST, AllowedHosts, HostRefusedError, UpstreamTransport

AT_ONCE = 100  # requests to one upstream
SMALL_PAGE = 1_000_000  # bytes of a page as it is sent: so many each may have, whatever others take
PAGE_MEMORY = 128_000_000  # bytes that large pages of one upstream may take beyond that, all together
MOST_WORDS = 64_000  # bytes of an error
LONGEST_VALUE = 1000  # characters of a header that is kept
DIGITS = 18  # of a number in a header
RETRY_AFTER = "3"  # seconds; pip and uv wait that long before they ask again


class GatewayError(Exception):
    """An upstream did not give what was asked; `status` is for the client.

    404 only when the upstream said that there is nothing; 502 when it gave something wrong; 503 when
    asking again may help; 403 when the primary of this replica denies it, in the primary's words.
    """

    def __init__(self, status: int, text: str, retry_after: str = RETRY_AFTER) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {} if status == 404 else {"Retry-After": retry_after}

    def again(self, retry_after: str | None = None) -> "GatewayError":
        """A copy for one more client: an exception that is raised many times collects tracebacks."""
        return GatewayError(
            self.status, self.text, retry_after or self.headers.get("Retry-After", RETRY_AFTER)
        )


class Upstream(NamedTuple):
    """An index that is cached, or the primary of a replica."""

    url: str  # without a login
    headers: Mapping[str, str] = MappingProxyType({})  # with the login: for its own host alone
    is_primary: bool = False  # of this replica


class UpstreamClient:
    """Asks upstreams on behalf of one devpi-server process; may be used by many threads at once."""

    def __init__(self, xom: Any, hosts: AllowedHosts) -> None:
        """Use devpi's own choice of certificates, proxies and timeout; offline when devpi is."""
        devpi_client = xom.new_http_client("mirror")
        self.offline = isinstance(devpi_client, OfflineHTTPClient)
        self.timeout = float(xom.config.request_timeout)
        # A client must not use up devpi's threads by waiting: the others answer from the cache.
        slots = max(1, xom.config.args.threads * 3 // 4)
        self._waiting = threading.BoundedSemaphore(slots)
        self._most_of_client = max(1, slots * 2 // 3)
        self._waiting_of: Counter[str] = Counter()  # by client
        # A client of httpx looks at all its connections, with its lock held, for each request: a hundred
        # threads that share one wait for each other. Each of ours serves one request at a time.
        # Each upstream has its own: one that does not answer holds up no other.
        self._clients: defaultdict[str, queue.LifoQueue[httpx.Client | None]] = defaultdict(_no_clients)
        self._large_pages: Counter[str] = Counter()  # bytes, by the upstream's URL
        self._lock = threading.Lock()
        self._new_client = lambda: httpx.Client(
            # Hashes are those of the plain bytes.
            headers={**devpi_client.headers, "Accept-Encoding": "identity"},
            transport=UpstreamTransport(hosts, devpi_client._ssl_context),  # noqa: SLF001 (listed in compat.py)
            timeout=self.timeout,
            follow_redirects=True,
        )

    @contextmanager
    def stream(
        self,
        url: str,
        upstream: Upstream,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        whole: bool = True,
    ) -> Iterator[httpx.Response]:
        """The answer to one request: 200, 206, or 304 if `headers` have If-None-Match. Raises GatewayError.

        What goes wrong while the body is read comes out of the `with` block as GatewayError too. A host
        that `upstream` may not lead to is a 502. Its login is for its own host: `url` may be another's.
        An answer that is to be read as a `whole` must have arrived after LONGEST seconds.
        """
        if self.offline:
            raise GatewayError(
                503, f"offline: {urlsplit(url).path} is not in the cache, and nothing is fetched"
            )
        try:
            asked = httpx.URL(url)
            own = allowed_hosts.origin(allowed_hosts.parsed(upstream.url)) == allowed_hosts.origin(asked)
            sent = {**(headers or {}), **(upstream.headers if own else {})}
            extensions = {allowed_hosts.OWN: upstream.url, allowed_hosts.WHOLE: whole}
            with (
                self._client(upstream) as client,
                _counted(client.stream(method, asked, headers=sent, extensions=extensions)) as answer,
            ):
                _refuse_error(answer, upstream)
                yield answer
        except HostRefusedError as error:
            raise GatewayError(502, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise GatewayError(
                503, f"the upstream does not answer for {urlsplit(url).path}: {reason}"
            ) from error

    @contextmanager
    def _client(self, upstream: Upstream) -> Iterator[httpx.Client]:
        """Lend the client that was used last. Raises GatewayError when all are in use."""
        with self._lock:
            clients = self._clients[upstream.url]
        try:
            client = clients.get(timeout=self.timeout) or self._new_client()
        except queue.Empty:
            raise GatewayError(503, f"{AT_ONCE} requests to the upstream go on already", "1") from None
        try:
            yield client
        finally:
            client.cookies.clear()  # what one answer sets is not for others
            clients.put(client)

    @contextmanager
    def page_memory(self, upstream: Upstream) -> Iterator[Callable[[int], None]]:
        """Lend memory for one page: a function to call with its size so far, which raises GatewayError."""
        held = 0

        def grow(size: int) -> None:
            nonlocal held
            more = max(0, size - SMALL_PAGE) - held
            with self._lock:
                if more and self._large_pages[upstream.url] + more > PAGE_MEMORY:
                    raise GatewayError(503, "too many large pages of the upstream arrive", "1")
                self._large_pages[upstream.url] += more
            held += more

        try:
            yield grow
        finally:
            with self._lock:
                self._large_pages[upstream.url] -= held

    @contextmanager
    def slot(self, client: str = "") -> Iterator[None]:
        """Take one of the threads that may wait for upstreams. Raises GatewayError without a free one.

        Of those that are taken for a `client` by its name, some are left for others.
        """
        counters.asked_upstream()
        with self._lock:
            is_full = bool(client) and self._waiting_of[client] >= self._most_of_client
            if is_full or not self._waiting.acquire(blocking=False):
                raise GatewayError(503, "too many requests wait for the upstream", "1")
            self._waiting_of[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting_of[client] -= 1
                if not self._waiting_of[client]:
                    del self._waiting_of[client]
            self._waiting.release()


@contextmanager
def _counted(asking: AbstractContextManager[httpx.Response]) -> Iterator[httpx.Response]:
    """Count a request to an upstream, and the bytes that come."""
    began = time.perf_counter()
    result = "unreachable"
    try:
        with asking as answer:
            counters.UPSTREAM_SECONDS.observe(time.perf_counter() - began)
            try:
                yield answer
                result = "ok"
            except GatewayError as error:
                result = "not_found" if error.status == 404 else "error"
                raise
            finally:
                counters.UPSTREAM_BYTES.inc(answer.num_bytes_downloaded)
    finally:
        counters.UPSTREAM_REQUESTS.labels(result).inc()


def _no_clients() -> queue.LifoQueue[httpx.Client | None]:
    clients: queue.LifoQueue[httpx.Client | None] = queue.LifoQueue()
    for _ in range(AT_ONCE):
        clients.put(None)  # not made yet
    return clients


def read_body(answer: httpx.Response, largest: int, grow: Callable[[int], None] = lambda _: None) -> bytes:
    """The whole body, as sent; `grow` is called with its size so far.

    Raises GatewayError when it has more than `largest` bytes, or takes longer than LONGEST.
    """
    deadline = time.monotonic() + LONGEST
    content = bytearray()
    for chunk in answer.iter_raw():
        content += chunk
        grow(len(content))
        if len(content) > largest:
            raise GatewayError(502, f"the upstream gives more than {largest} bytes for {answer.url.path}")
        if time.monotonic() > deadline:
            raise GatewayError(502, f"the upstream takes more than {LONGEST} s for {answer.url.path}")
    return bytes(content)


def text_in(header: str | None) -> str | None:
    """A header's value that can be sent on; None for what is long, or not printable ASCII."""
    is_plain = header and len(header) <= LONGEST_VALUE and header.isascii() and header.isprintable()
    return header if is_plain else None


def number_in(header: str | None) -> int | None:
    """The number that a header states; None for everything else. int() refuses 4,301 digits."""
    return int(header) if header and len(header) <= DIGITS and re.fullmatch("[0-9]+", header) else None


def upstream_of(stage: Any) -> Upstream:
    """The upstream of a mirror index as it is configured, also on a replica."""
    login = None if stage.xom.is_replica() else stage.mirror_url_authorization_header
    url = URL(stage.ixconfig["mirror_url"]).replace(username=None, password=None).asdir()
    return Upstream(url.url, {"Authorization": login} if login else {})


def primary_of(xom: Any, headers: Mapping[str, str] | None = None) -> Upstream:
    """The primary of this replica; `headers` are sent to it besides those of all requests."""
    sent = xom.replica_thread.http.get_extra_headers(headers)
    return Upstream(xom.config.primary_url.url, sent, is_primary=True)


def _refuse_error(answer: httpx.Response, upstream: Upstream) -> None:
    """Raise GatewayError for every status but success."""
    if answer.status_code in {200, 206}:
        return
    if answer.status_code == 304 and "If-None-Match" in answer.request.headers:
        return
    if answer.status_code == 403 and upstream.is_primary:
        raise GatewayError(403, _words(answer))
    text = f"the upstream answered {answer.status_code} for {answer.url.path}"
    if answer.status_code in {404, 410}:
        raise GatewayError(404, text)
    if answer.status_code == 429 or answer.status_code >= 500:
        retry_after = number_in(answer.headers.get("Retry-After"))
        raise GatewayError(503, text, RETRY_AFTER if retry_after is None else str(retry_after))
    raise GatewayError(502, text)


def _words(answer: httpx.Response) -> str:
    """Message in an error answer of our primary (error_views.py)."""
    text = read_body(answer, MOST_WORDS).decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text

"""HTTP client for upstreams: kept connections, limits, and nothing of any client's request."""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from devpi_common.url import URL
from devpi_server.httpclient import OfflineHTTPClient

from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import AllowedHosts, HostRefusedError, UpstreamTransport

AT_ONCE = 100  # requests to upstreams
LONGEST = 120  # seconds until a body that is read whole must have arrived
RETRY_AFTER = "3"  # seconds; pip and uv wait that long before they ask again


class GatewayError(Exception):
    """An upstream did not give what was asked; `status` is for the client.

    404 only when the upstream said that there is nothing; 502 when it gave something wrong; 503 when
    asking again may help.
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


class UpstreamClient:
    """Asks upstreams on behalf of one devpi-server process; may be used by many threads at once."""

    def __init__(self, xom: Any, hosts: AllowedHosts) -> None:
        """Use devpi's own choice of certificates, proxies and timeout; offline when devpi is."""
        devpi_client = xom.new_http_client("mirror")
        self.offline = isinstance(devpi_client, OfflineHTTPClient)
        self.timeout = float(xom.config.request_timeout)
        # A client must not use up devpi's threads by waiting: the others answer from the cache.
        self._waiting = threading.BoundedSemaphore(max(1, xom.config.args.threads * 3 // 4))
        # A client of httpx looks at all its connections, with its lock held, for each request: a hundred
        # threads that share one wait for each other. Each of ours serves one request at a time.
        self._clients: queue.LifoQueue[httpx.Client | None] = queue.LifoQueue()
        for _ in range(AT_ONCE):
            self._clients.put(None)  # not made yet
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
    ) -> Iterator[httpx.Response]:
        """The answer to one request: 200, 206, or 304 if `headers` have If-None-Match. Raises GatewayError.

        What goes wrong while the body is read comes out of the `with` block as GatewayError too. A host
        that `upstream` may not lead to is a 502. Its login is for its own host: `url` may be another's.
        """
        if self.offline:
            raise GatewayError(
                503, f"offline: {urlsplit(url).path} is not in the cache, and nothing is fetched"
            )
        try:
            own = allowed_hosts.origin(httpx.URL(upstream.url)) == allowed_hosts.origin(httpx.URL(url))
            sent = {**(headers or {}), **(upstream.headers if own else {})}
            extensions = {allowed_hosts.OWN: upstream.url}
            with (
                self._client() as client,
                client.stream(method, url, headers=sent, extensions=extensions) as answer,
            ):
                _refuse_error(answer)
                yield answer
        except HostRefusedError as error:
            raise GatewayError(502, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise GatewayError(
                503, f"the upstream does not answer for {urlsplit(url).path}: {reason}"
            ) from error

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        """Lend the client that was used last. Raises GatewayError when all are in use."""
        try:
            client = self._clients.get(timeout=self.timeout) or self._new_client()
        except queue.Empty:
            raise GatewayError(503, f"{AT_ONCE} requests to upstreams go on already", "1") from None
        try:
            yield client
        finally:
            self._clients.put(client)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take one of the threads that may wait for upstreams. Raises GatewayError without a free one."""
        if not self._waiting.acquire(blocking=False):
            raise GatewayError(503, "too many requests wait for the upstream", "1")
        try:
            yield
        finally:
            self._waiting.release()


def read_body(answer: httpx.Response, largest: int, *, decoded: bool = False) -> bytes:
    """The whole body, as sent or `decoded` from gzip.

    Raises GatewayError when it has more than `largest` bytes, or takes longer than LONGEST.
    """
    deadline = time.monotonic() + LONGEST
    content = bytearray()
    for chunk in answer.iter_bytes() if decoded else answer.iter_raw():
        content += chunk
        if len(content) > largest:
            raise GatewayError(502, f"the upstream gives more than {largest} bytes for {answer.url.path}")
        if time.monotonic() > deadline:
            raise GatewayError(502, f"the upstream takes more than {LONGEST} s for {answer.url.path}")
    return bytes(content)


def upstream_of(stage: Any) -> Upstream:
    """The upstream of a mirror index as it is configured, also on a replica."""
    login = None if stage.xom.is_replica() else stage.mirror_url_authorization_header
    url = URL(stage.ixconfig["mirror_url"]).replace(username=None, password=None).asdir()
    return Upstream(url.url, {"Authorization": login} if login else {})


def primary_of(xom: Any, headers: Mapping[str, str] | None = None) -> Upstream:
    """The primary of this replica; `headers` are sent to it besides those of all requests."""
    return Upstream(xom.config.primary_url.url, xom.replica_thread.http.get_extra_headers(headers))


def _refuse_error(answer: httpx.Response) -> None:
    """Raise GatewayError for every status but success."""
    if answer.status_code in {200, 206}:
        return
    if answer.status_code == 304 and "If-None-Match" in answer.request.headers:
        return
    text = f"the upstream answered {answer.status_code} for {answer.url.path}"
    if answer.status_code in {404, 410}:
        raise GatewayError(404, text)
    if answer.status_code == 429 or answer.status_code >= 500:
        retry_after = answer.headers.get("Retry-After", RETRY_AFTER)
        raise GatewayError(503, text, retry_after if retry_after.isdecimal() else RETRY_AFTER)
    raise GatewayError(502, text)

"""Read METADATA of remote wheels by HTTP ranges, mostly only their end."""

import re
import time
from urllib.parse import urlsplit

from mirror.plugin.metadata import wheel
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient, read_body

TAIL = 32 * 1024  # bytes: one request brings the directory and METADATA of most wheels
_CONTENT_RANGE = r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})"
RANGELESS_FOR = 60  # seconds until a server that ignored a range is asked for one again


class UnavailableError(Exception):
    """Metadata cannot be had in this way; the text says why."""


class _RangesIgnoredError(UnavailableError):
    """The server answers a request for a range with everything."""


class RemoteWheels:
    """Reader of remote wheels, which remembers servers without ranges."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._rangeless: dict[str, float] = {}

    def read_metadata(self, url: str, upstream: Upstream, filename: str) -> bytes:
        """Raises UnavailableError, GatewayError, and BrokenWheelError when what was read makes no sense."""
        host = urlsplit(url).netloc
        if time.monotonic() < self._rangeless.get(host, 0):
            raise UnavailableError(f"{host} has no ranges")
        try:
            return self._read(url, upstream, filename)
        except _RangesIgnoredError:
            self._rangeless[host] = time.monotonic() + RANGELESS_FOR
            raise

    def _read(self, url: str, upstream: Upstream, filename: str) -> bytes:
        tail, start, size = self._part(url, upstream, f"-{TAIL}")
        if start != max(0, size - TAIL):
            raise UnavailableError("the server sent another range")

        def fetch(start: int, stop: int) -> bytes:
            part, *where = self._part(url, upstream, f"{start}-{stop - 1}")
            if where != [start, size]:
                raise UnavailableError("the server sent another range")
            return part

        return wheel.read_metadata(wheel.remote(size, tail, fetch), filename)

    def _part(self, url: str, upstream: Upstream, asked: str) -> tuple[bytes, int, int]:
        """The bytes of a range, where they begin, and the size of the whole file."""
        try:
            with self._client.stream(url, upstream, headers={"Range": f"bytes={asked}"}) as answer:
                sent = re.fullmatch(_CONTENT_RANGE, answer.headers.get("Content-Range", ""))
                content = read_body(answer, wheel.MOST_READ) if sent else b""
        except GatewayError as error:
            if error.status != 502:
                raise
            raise UnavailableError(error.text) from error
        if not sent:
            raise _RangesIgnoredError("the server ignores ranges")
        first, last, size = (int(number) for number in sent.groups())
        if len(content) != last - first + 1 or last >= size:
            raise UnavailableError("the server sent less or more than the range that it names")
        return content, first, size

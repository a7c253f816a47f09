"""devpi's HTTP client interface (devpi_server/httpclient.py) on UpstreamClient, for one upstream."""

import asyncio
from contextlib import ExitStack
from typing import Any

import httpx
from devpi_server.httpclient import FatalResponse

from mirror.plugin.simple import parse
from mirror.plugin.simple.parse import InvalidPageError
from mirror.plugin.upstream import page_request
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient

DevpiAnswer = httpx.Response | FatalResponse


class DevpiClient:
    """Requests of devpi's own to an upstream. Every error is devpi's FatalResponse, with a status."""

    def __init__(self, client: UpstreamClient, upstream: Upstream) -> None:
        self._client = client
        self._upstream = upstream

    def stream(
        self, stack: ExitStack, method: str, url: Any, *, extra_headers: Any = None, **_: object
    ) -> DevpiAnswer:
        """The answer, its body unread."""
        try:
            request = self._client.stream(
                str(url), self._upstream, method=method, headers=extra_headers, whole=False
            )
            return stack.enter_context(request)
        except GatewayError as error:
            return _failure(url, error.status, error.text)

    async def async_get(self, url: Any, **options: Any) -> tuple[DevpiAnswer, str | None]:
        """The answer, and its text when it is one."""
        return await asyncio.to_thread(self._get, url, **options)

    def _get(self, url: Any, **options: Any) -> tuple[DevpiAnswer, str | None]:
        try:
            with ExitStack() as stack:
                headers = {"Accept-Encoding": "gzip", **(options.get("extra_headers") or {})}
                answer = self.stream(stack, "GET", url, extra_headers=headers)
                if isinstance(answer, FatalResponse) or answer.status_code != 200:
                    return answer, None
                grow = stack.enter_context(self._client.page_memory(self._upstream))
                page = parse.unpacked(page_request.raw_page(answer, grow))
                return answer, page.content.decode(answer.charset_encoding or "utf-8", "replace")
        except (GatewayError, InvalidPageError, LookupError) as error:
            return _failure(url, 502, str(error)), None


def _failure(url: Any, status: int, text: str) -> FatalResponse:
    failure = FatalResponse(url, text)
    failure.status_code = status
    return failure

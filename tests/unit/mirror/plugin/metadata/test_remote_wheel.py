"""METADATA of wheels that are not here, from servers with and without ranges."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mirror.plugin.metadata.remote_wheel import TAIL, RemoteWheels, UnavailableError
from mirror.plugin.upstream.client import GatewayError, Upstream
from tests.support.dists import wheel

LARGE = wheel("demo", "1.0", padding=10 * TAIL)
INDEX = Upstream("https://index.example.com/simple/")
URL = "https://files.example.com/demo-1.0-py3-none-any.whl"


class _Server:
    """Has one wheel; `change` may spoil the status, the headers and the body of each answer."""

    def __init__(self, content: bytes, change: Any = lambda *answer: answer) -> None:  # noqa: ANN401 (a function)
        self.asked: list[str] = []
        self._content = content
        self._change = change

    @contextmanager
    def stream(
        self, url: str, _upstream: Upstream, *, headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        asked = headers["Range"].removeprefix("bytes=")
        self.asked.append(asked)
        size = len(self._content)
        first, last = re.fullmatch(r"(\d*)-(\d+)", asked).groups()  # type: ignore[union-attr]  # we ask so
        start, stop = (int(first), int(last) + 1) if first else (max(0, size - int(last)), size)
        where = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        status, sent, body = self._change(206, where, self._content[start:stop])
        if status >= 400:
            raise GatewayError(502 if status == 416 else 503, f"{status}")
        answer = httpx.Response(status, headers=sent, stream=httpx.ByteStream(body))
        answer.request = httpx.Request("GET", url)
        yield answer


def read(server: _Server) -> bytes:
    """What is found out of the wheel on this server."""
    return RemoteWheels(server).read_metadata(URL, INDEX, LARGE.filename)  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize("padding", [0, 10 * TAIL])
def test_the_end_of_a_wheel_is_enough(padding: int) -> None:
    """One request, also for a wheel that is shorter than what is asked for."""
    server = _Server(wheel("demo", "1.0", padding=padding).content)
    assert b"Name: demo" in read(server)
    assert server.asked == [f"-{TAIL}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda status, _, body: (status, {"Content-Range": f"bytes 0-{len(body) - 1}/{10**6}"}, body),
        lambda status, headers, body: (status, headers, body[:-1]),
        lambda _, headers, body: (416, headers, body),
    ],
)
def test_a_server_that_answers_something_else_is_no_source(change: object) -> None:
    """The whole wheel can be had, and is checked by its hash."""
    with pytest.raises(UnavailableError):
        read(_Server(LARGE.content, change))


def test_an_upstream_in_trouble_is_no_reason_to_ask_it_for_everything() -> None:
    """503 is for the client, who comes back."""
    with pytest.raises(GatewayError):
        read(_Server(LARGE.content, lambda _, headers, body: (503, headers, body)))


def test_a_server_without_ranges_is_asked_for_one_once_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request would bring a whole wheel, to be thrown away."""
    server = _Server(LARGE.content, lambda _, __, body: (200, {}, body))
    wheels = RemoteWheels(server)  # type: ignore[arg-type]  # a fake
    for _ in range(2):
        with pytest.raises(UnavailableError):
            wheels.read_metadata(URL, INDEX, LARGE.filename)
    assert len(server.asked) == 1
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    with pytest.raises(UnavailableError):
        wheels.read_metadata(URL, INDEX, LARGE.filename)
    assert len(server.asked) == 2

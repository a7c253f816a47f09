"""The promises of release.host.processes.health, over a unix socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from release.host.disk.manifest import Health
from release.host.processes import health
from tests.support.servers import short_home

SETTINGS = Health("/healthz", "shop.example.com", timeout=10.0, interval=0.01)


@contextmanager
def server(answer: bytes | None) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket whose first client gets `answer` (None: nothing), and the requests that came there."""
    requests: list[bytes] = []
    with short_home() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                requests.append(client.recv(4096))
                if answer is not None:
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        if answer is not None:
            thread.start()
        yield folder / "s", requests
        if answer is not None:
            thread.join()


@pytest.mark.parametrize(
    ("answer", "healthy", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, "200 OK: ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, "204 No Content: "),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", False, "302 Found: "),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nno luck\nx", False, "500 Oh: no luck"),
    ],
)
def test_only_2xx_is_healthy(answer: bytes, healthy: bool, text: str) -> None:  # noqa: FBT001
    """A redirect to a login page is not what users want to see."""
    with server(answer) as (address, requests):
        answered = health.probe(address, SETTINGS)
    assert (answered.healthy, answered.text) == (healthy, text)
    assert answered.status == int(text[:3])
    assert requests[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: shop.example.com\r\n")
    assert b"X-Forwarded-Proto: https" in requests[0]


def test_something_else_than_http_is_no_answer() -> None:
    """The error is shown, and nothing is raised: a probe is repeated."""
    with server(b"SSH-2.0-x\r\n") as (address, _):
        answered = health.probe(address, SETTINGS)
    assert (answered.healthy, answered.status) == (False, None)
    assert answered.text.startswith("none: BadStatusLine: SSH-2.0-x")


def test_a_server_that_accepts_nothing_is_given_up_at_the_time_limit() -> None:
    """What has to be watched meanwhile is."""
    ticks: list[None] = []
    with server(None) as (address, _):
        limit = Health("/", "localhost", timeout=0.2, interval=0.01)
        answered = health.probe(address, limit, lambda: ticks.append(None))
    assert answered == health.Answer(healthy=False, text=health.NO_ANSWER)
    assert ticks


def test_nobody_there_is_no_answer() -> None:
    """The application is just starting."""
    answered = health.probe(Path("/nonexistent/probe.sock"), SETTINGS)
    assert (answered.healthy, answered.status) == (False, None)
    assert answered.text.startswith("none: No such file or directory")

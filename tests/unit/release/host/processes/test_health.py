"""The promises of release.host.processes.health, over a unix socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from release.host.disk.manifest import Health
from release.host.processes import health
from tests.support.servers import short_home

SETTINGS = Health("/healthz", "shop.example.com", timeout=10.0, interval=0.01)


@contextmanager
def server(answer: bytes | None) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket whose first client gets `answer` (None: nothing), and the requests that came there."""
    with serving([answer]) as served:
        yield served


@contextmanager
def serving(answers: list[bytes | None]) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket whose clients get one of `answers` each."""
    requests: list[bytes] = []
    with short_home() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()

        def serve() -> None:
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    requests.append(client.recv(4096))
                    client.sendall(answer or b"")

        thread = threading.Thread(target=serve)
        if None not in answers:
            thread.start()
        yield folder / "s", requests
        if None not in answers:
            thread.join()


@pytest.mark.parametrize(
    ("answer", "healthy", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, "200 OK: ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, "204 No Content: "),
        (b"HTTP/1.1 302 Found\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n", False, "302 Found, to /in: "),
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


def reply(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answers", "healthy", "path"),
    [
        (["200 OK"], True, "/healthz"),
        (["503 No Database"], False, "/healthz"),  # it has one, and that is the answer
        (["404 Not Found", "200 OK"], True, "/"),
        (["404 Not Found", "302 Found"], True, "/"),  # to the page where people begin
        (["302 Found", "401 Unauthorized"], True, "/"),
        (["404 Not Found", "404 Not Found"], False, "/"),
        (["404 Not Found", "500 Oh"], False, "/"),
        (["400 Bad Request", "400 Bad Request"], False, "/"),
    ],
)
def test_without_a_path_the_usual_one_is_asked_and_else_the_root(
    answers: list[str],
    healthy: bool,  # noqa: FBT001
    path: str,
) -> None:
    """Applications made elsewhere have no page for probes, and deploy all the same."""
    with serving([reply(answer) for answer in answers]) as (address, requests):
        answered = health.probe(address, Health(None, "localhost", timeout=10.0, interval=0.01))
    assert (answered.healthy, answered.path, len(requests)) == (healthy, path, len(answers))
    assert answered.status == int(answers[-1][:3])


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
    assert answered == health.ProbeResult(healthy=False, text=health.NO_ANSWER, path="/")
    assert ticks


def test_an_answer_that_comes_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that was taken over would hold every deploy up."""
    with short_home() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()

        def drip() -> None:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(0.05):
                    client.sendall(b"x")

        over = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        monkeypatch.setattr(health, "ANSWER_TIMEOUT", 0.2)
        answered = health.probe(folder / "s", SETTINGS)
        over.set()
        thread.join()
    assert not answered.healthy


def test_nobody_there_is_no_answer() -> None:
    """The application is just starting."""
    answered = health.probe(Path("/nonexistent/probe.sock"), SETTINGS)
    assert (answered.healthy, answered.status) == (False, None)
    assert answered.text.startswith("none: No such file or directory")

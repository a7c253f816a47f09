"""The promises of release.host.runtime.maintenance over sockets, before a careless application."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.host.runtime import maintenance
from tests.support.servers import short_home, wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nopen"


class Application:
    """Answers every request of a connection, whatever `Connection` says, and remembers what it read."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.read = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.3)  # it would go on waiting for requests
            heads = bytearray()
            try:
                while data := connection.recv(65536):
                    self.read += data
                    heads += data
                    while b"\r\n\r\n" in heads:
                        head, _, rest = heads.partition(b"\r\n\r\n")
                        heads = bytearray(rest)
                        connection.sendall(self._answer(bytes(head)))
            except OSError:
                return

    def _answer(self, head: bytes) -> bytes:
        if b"upgrade: websocket" in head and head.startswith(b"GET /admin/socket"):
            return b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        return ANSWER


class Front:
    """The program at work in `folder`, with the paths /healthz and /admin/ open."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "web.m.sock"
        self.state = folder / "maintenance.json"
        self.tell(page="<p>closed</p>")
        (folder / "live.sock").symlink_to(folder / "web.a.sock")
        program = [sys.executable, "-IS", maintenance.__file__]
        self.process = subprocess.Popen([*program, self.state, folder / "live.sock", self.path])
        wait_until("the program", self.path.exists)

    def tell(self, page: str) -> None:
        """Change how it answers."""
        text = json.dumps({"allow": ["/healthz", "/admin/"], "retry_after": 60, "page": page})
        scratch = self.folder / "new"
        scratch.write_text(text)
        scratch.replace(self.state)

    def connect(self) -> socket.socket:
        """A connection to it."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(str(self.path))
        return client

    def ask(self, request: bytes) -> bytes:
        """All that it answers to these bytes, up to the end of the connection."""
        with self.connect() as client:
            client.sendall(request)
            return everything(client)


def everything(client: socket.socket) -> bytes:
    answer = b""
    while data := client.recv(65536):
        answer += data
    return answer


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_home() as made:
        yield made


@pytest.fixture
def application(folder: Path) -> Iterator[Application]:
    made = Application(folder / "web.a.sock")
    yield made
    made.listener.close()


@pytest.fixture
def front(folder: Path, application: Application) -> Iterator[Front]:  # noqa: ARG001  # it is in front of it
    made = Front(folder)
    yield made
    made.process.kill()
    made.process.wait()


CLOSED = b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        CLOSED,
        b"GET /admin/../secret HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //admin/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/admin/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /secret?/admin/ HTTP/1.0\r\n\r\n",
        b"GET /secret\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT /admin/ HTTP/9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nX: %s" % (b"a" * 40_000),
    ],
)
def test_what_is_not_open_is_answered_here(front: Front, application: Application, request_: bytes) -> None:
    """The application does not even learn of it."""
    answer = front.ask(request_)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"<p>closed</p>")
    assert application.read == b""


@pytest.mark.parametrize(
    "before",
    [
        b"GET /admin/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"POST /admin/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
        b"GET /admin/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        CLOSED,
    ],
)
def test_a_second_request_does_not_slip_through(
    front: Front, application: Application, before: bytes
) -> None:
    """At once, or a moment later on the same connection; the application would answer it."""
    with front.connect() as client:
        client.sendall(before + CLOSED)
        first = client.recv(65536)
        client.sendall(CLOSED)
        client.shutdown(socket.SHUT_WR)
        answer = first + everything(client)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"/secret" not in application.read
    assert answer.startswith(b"HTTP/1.1 503 " if before == CLOSED else b"HTTP/1.1 200 ")


def test_a_body_is_passed_on_whole_and_without_a_length_refused(
    front: Front, application: Application
) -> None:
    """Where a chunked body ends, servers do not agree (request smuggling)."""
    body = os.urandom(3_000_000)
    head = b"POST /admin/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    with front.connect() as client:
        client.sendall(head)
        client.sendall(body)
        assert client.recv(65536) == ANSWER
        wait_until("the body", lambda: application.read.endswith(body[-100:]))
    assert body in application.read
    chunked = front.ask(b"POST /admin/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 411 ")


def test_a_websocket_to_an_open_path_goes_on_both_ways(front: Front, application: Application) -> None:
    """Frames that a client sends at once wait for the answer of the application."""
    head = b"GET /admin/socket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with front.connect() as client:
        client.sendall(head + b"first frame")
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")
        client.sendall(b", second frame")
        wait_until("the frames", lambda: application.read.endswith(b"first frame, second frame"))


def test_an_upload_that_nobody_reads_is_answered_all_the_same(front: Front) -> None:
    """A client that sends all before it reads would see a broken connection instead of the page."""
    with front.connect() as client:
        client.sendall(b"POST /secret HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
        for _ in range(20):
            client.sendall(bytes(1_000_000))
        assert everything(client).endswith(b"<p>closed</p>")


def test_head_has_no_body(front: Front) -> None:
    """Its length is that of the page."""
    answer = front.ask(b"HEAD / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"Connection: close\r\n\r\n")
    assert b"Content-Length: 13\r\n" in answer


def test_clients_that_never_end_their_head_do_not_keep_others_out(front: Front) -> None:
    """The oldest of them has to go (slowloris)."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(front.connect()) for _ in range(maintenance.MOST + 50)]
        for client in slow:
            with contextlib.suppress(BrokenPipeError):
                client.send(b"GET / HTTP/1.1\r\n")
        assert front.ask(CLOSED).endswith(b"<p>closed</p>")
        assert slow[0].recv(1) == b""
        slow[-1].setblocking(False)  # noqa: FBT003  # its only argument
        with pytest.raises(BlockingIOError):
            slow[-1].recv(1)


def test_a_client_that_reads_slowly_gets_the_whole_page(front: Front) -> None:
    """A page of 1 MB does not fit into the kernel's buffers."""
    page = "x" * 1_000_000
    front.tell(page)
    with front.connect() as client:
        client.sendall(CLOSED)
        answer = client.recv(10)
        assert front.ask(CLOSED).endswith(page.encode())  # others do not wait for it
        answer += everything(client)
    assert answer.endswith(page.encode())


def test_without_the_application_open_paths_are_closed(front: Front, application: Application) -> None:
    """A release without web, or a stopped one."""
    application.listener.shutdown(socket.SHUT_RDWR)
    assert front.ask(b"GET /admin/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    (front.folder / "live.sock").unlink()
    assert front.ask(b"GET /admin/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")


def test_the_serving_release_is_asked_after_a_switch(front: Front) -> None:
    """The link is followed for each request."""
    other = Application(front.folder / "web.b.sock")
    (front.folder / "next").symlink_to(front.folder / "web.b.sock")
    (front.folder / "next").replace(front.folder / "live.sock")
    assert front.ask(b"GET /admin/ HTTP/1.1\r\n\r\n").endswith(b"open")
    assert b"/admin/" in other.read
    other.listener.close()


def test_what_has_begun_is_answered_before_the_end(front: Front) -> None:
    """It is stopped when maintenance mode goes off: also a request of which half has arrived."""
    with front.connect() as client, front.connect() as idle:
        client.sendall(CLOSED[:10])
        assert front.ask(CLOSED)  # the program has read the half
        front.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        client.sendall(CLOSED[10:])
        assert everything(client).endswith(b"<p>closed</p>")
    assert front.process.wait(60) == 0

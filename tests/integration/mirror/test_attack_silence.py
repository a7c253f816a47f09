"""One anonymous client tries to stop the server: a well-behaved one gets its answers all the same.

Every attack runs against devpi-server alone and through nginx with the configuration of `mirror front`.
"""

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored
from tests.support.nginx_front import fronted, through
from tests.support.servers import free_port
from tests.support.upstream import Upstream

pytestmark = pytest.mark.needs("nginx")

MANY = 250  # connections of one client; more than the server's hundred threads, and than `connections`
ATTACKER = "127.0.0.2"  # the well-behaved client has another address
LARGE = wheel("large", "1.0", padding=30_000_000)


@dataclass(frozen=True)
class Target:
    """The mirror by one of its addresses."""

    mirrored: Mirrored
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(ATTACKER, 0))

    def send(self, head: str, body: bytes = b"") -> socket.socket:
        """A connection on which a request, or the beginning of one, was sent."""
        connection = self.connect()
        connection.sendall(head.replace("\n", "\r\n").encode() + body)
        return connection

    def answers(self) -> None:
        """Fails unless a cached page, a page that is not cached, a file and the API are answered."""
        project = wheel(f"honest{free_port()}", "1.0")
        self.mirrored.upstream.add(project.filename.partition("-")[0], project)
        (url,) = (self.mirrored.url_of(project),)
        paths = ["/+api", "/root/pypi/+simple/large/", url.removeprefix(self.mirrored.mirror.url)]
        for path in paths:
            assert requests.get(f"{self.url}{path}", timeout=30).status_code == 200, path


@pytest.fixture(scope="module")
def both_ways() -> Iterator[tuple[Mirrored, int]]:
    port = free_port()
    with Upstream() as upstream, fronted(upstream, port, "connections = 200\n") as mirrored:
        upstream.add("large", LARGE)
        assert requests.get(mirrored.url_of(LARGE), timeout=60).content == LARGE.content
        yield mirrored, port


@pytest.fixture(params=["alone", "nginx"])
def target(both_ways: tuple[Mirrored, int], request: pytest.FixtureRequest) -> Target:
    """devpi-server's own port, or nginx's."""
    mirrored, front = both_ways
    if request.param == "alone":
        return Target(mirrored, int(mirrored.mirror.url.rpartition(":")[2]))
    return Target(through(front, mirrored), front)


@contextmanager
def held(target: Target, head: str, body: bytes = b"") -> Iterator[list[socket.socket]]:
    """MANY connections that sent this and go on no more, until the block ends."""
    with ExitStack() as stack:
        yield [stack.enter_context(target.send(head, body)) for _ in range(MANY)]


def status(connection: socket.socket) -> int:
    """The status of the answer that comes next."""
    with closing(http.client.HTTPResponse(connection)) as answer:
        answer.begin()
        return answer.status


def test_idle_connections(target: Target) -> None:
    """waitress accepts nobody beyond a hundred connections; closing the oldest idle one hurts no client."""
    with held(target, ""):
        target.answers()


def test_heads_that_never_end(target: Target) -> None:
    """A connection is not idle for a server that waits for the rest of a header."""
    with held(target, "GET /+api HTTP/1.1\nHost: mirror\nX-Slow: "):
        target.answers()


def test_bodies_of_which_one_byte_comes(target: Target) -> None:
    """110 of them silenced /+api for 70 seconds: nginx passes each on at once, on a connection of its own."""
    with held(target, "POST /+login HTTP/1.1\nHost: mirror\nContent-Length: 1000\n\n", b"{"):
        target.answers()


def test_chunks_that_never_end(target: Target) -> None:
    """Such a body has no length that could be refused."""
    with held(target, "POST /+login HTTP/1.1\nHost: mirror\nTransfer-Encoding: chunked\n\n", b"1\r\n{\r\n"):
        target.answers()


def test_answers_that_nobody_reads(target: Target) -> None:
    """A client that takes a file slowly holds a descriptor, not a thread."""
    path = target.mirrored.url_of(LARGE).removeprefix(target.mirrored.mirror.url)
    with held(target, f"GET {path} HTTP/1.1\nHost: mirror\n\n"):
        target.answers()


def test_requests_in_one_segment(target: Target) -> None:
    """They are answered one after the other, and take turns with those of others."""
    with held(target, "GET /root/pypi/+simple/ HTTP/1.1\nHost: mirror\n\n" * 100):
        target.answers()


@pytest.mark.parametrize("block", ["\n\n", "GET /+api HTTP/1.1\nHost: mirror\n\n"], ids=["empty", "tiny"])
def test_who_sends_thousands_of_requests_at_once_is_cut_off(
    both_ways: tuple[Mirrored, int], block: str
) -> None:
    """Each takes a parser, on the thread that reads for everybody: 200 such clients stopped it for minutes.

    nginx passes on one after the other.
    """
    mirrored, _ = both_ways
    target, answers = Target(mirrored, int(mirrored.mirror.url.rpartition(":")[2])), b""
    with target.send(block * 1000) as connection, suppress(ConnectionResetError):
        while received := connection.recv(65536):
            answers += received
    assert answers.count(b"HTTP/1.1 ") <= 128
    target.answers()


@pytest.mark.parametrize("length", ["Content-Length: 900000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("path", "refusal"), [("/company/dev/", 401), ("/company/none/", 404), ("/+login", 413)]
)
def test_a_large_body_is_refused_before_it_is_read(
    target: Target, length: str, path: str, refusal: int
) -> None:
    """300 MB were on the disk before the password was looked at.

    A connection that is closed while more is on its way is reset, and the answer may be lost with it.
    """
    with target.send(
        f"POST {path} HTTP/1.1\nHost: mirror\n{length}\n\n", b"11170\r\n" + b"x" * 70_000
    ) as sent:
        try:
            found = status(sent)
        except ConnectionResetError:
            found = refusal
        assert found == refusal


def test_a_client_that_asks_first_gets_the_refusal_instead_of_a_go_ahead(target: Target) -> None:
    """RFC 9110 (10.1.1): curl sends large bodies so."""
    ask = "POST /company/dev/ HTTP/1.1\nHost: mirror\nExpect: 100-continue\nContent-Length: 900000000\n\n"
    with target.send(ask) as sent:
        assert sent.recv(12) in {
            b"HTTP/1.1 401",
            b"HTTP/1.1 100",
        }  # nginx says 100 itself, then passes on 401


def test_a_wrong_password_is_told_to_a_client_that_sends_on(target: Target) -> None:
    """twine does not look for an answer before it has sent all: a closed connection would be all it sees."""
    answer = requests.post(
        f"{target.url}/company/dev/", data=LARGE.content, auth=("company", "x"), timeout=60
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\n"])
def test_who_may_upload_sends_a_large_body(target: Target, expect: str, tmp_path: Path) -> None:
    """With a real twine, and as curl does."""
    dist = wheel(f"own{free_port()}", "1.0", padding=3_000_000)
    (tmp_path / dist.filename).write_bytes(dist.content)
    target.mirrored.upload(tmp_path / dist.filename)
    assert target.mirrored.page(dist.filename.partition("-")[0], "company/dev")["files"]
    login = requests.auth._basic_auth_str("company", target.mirrored.mirror.credentials["company"])
    headers = f"Host: mirror\nAuthorization: {login}\n{expect}Content-Length: 100000\n\n"
    with target.send(f"POST /company/dev/ HTTP/1.1\n{headers}") as sent:
        if expect:
            assert sent.recv(100).startswith(b"HTTP/1.1 100 ")
        sent.sendall(b"x" * 100_000)
        assert status(sent) == 400  # it is no form


def test_who_asks_first_gets_one_go_ahead(target: Target) -> None:
    """Two threads sent it at once, twice, and the connection was cut, for a third of sixteen clients."""
    login = requests.auth._basic_auth_str("company", target.mirrored.mirror.credentials["company"])
    headers = f"Host: mirror\nAuthorization: {login}\nExpect: 100-continue\nContent-Length: 100000\n\n"

    def upload(_: int) -> bytes:
        with target.send(f"POST /company/dev/ HTTP/1.1\n{headers}") as sent:
            first = sent.recv(25)
            sent.sendall(b"x" * 100_000)
            return first + sent.recv(12)

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(upload, range(200)))
    assert found == {b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400"}


def test_who_does_not_wait_for_the_go_ahead_gets_one_at_most(target: Target) -> None:
    """RFC 9110 (10.1.1): the server may leave it out. It came twice, before and after the body was there."""
    login = requests.auth._basic_auth_str("company", target.mirrored.mirror.credentials["company"])
    headers = f"Host: mirror\nAuthorization: {login}\nExpect: 100-continue\nContent-Length: 100000\n\n"

    def upload(_: int) -> bytes:
        with target.send(f"POST /company/dev/ HTTP/1.1\n{headers}", b"x" * 100_000) as sent:
            answer = b""
            while b"HTTP/1.1 400" not in answer and (received := sent.recv(65536)):
                answer += received
            return answer.partition(b"HTTP/1.1 400")[0]

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(upload, range(100)))
    assert found <= {b"", b"HTTP/1.1 100 Continue\r\n\r\n"}


def test_heads_that_are_too_large(target: Target) -> None:
    """Each would be searched again for its end with every segment that comes."""
    with target.send("GET /+api HTTP/1.1\nHost: mirror\n" + "X-Large: " + "x" * 100_000 + "\n\n") as sent:
        assert status(sent) in {400, 414, 431}
    target.answers()


def test_a_thousand_ranges_are_one_whole_file(target: Target) -> None:
    """RFC 9110 (14.2) allows to ignore them; their parts would be a thousand times what was asked."""
    ranges = ",".join(f"{start}-" for start in range(1000))
    answer = requests.get(target.mirrored.url_of(LARGE), headers={"Range": f"bytes={ranges}"}, timeout=60)
    assert (answer.status_code, len(answer.content)) == (200, len(LARGE.content))


def test_wrong_passwords_in_hundreds(target: Target) -> None:
    """A check takes a tenth of a second of a processor. Guesses lock out nobody who was logged in."""

    def login(user: str, password: str) -> int:
        form = {"user": user, "password": password}
        return requests.post(f"{target.url}/+login", json=form, timeout=60).status_code

    users = target.mirrored.mirror.credentials
    assert login("company", users["company"]) == 200
    statuses: list[int] = []
    guesses = [
        threading.Thread(target=lambda: statuses.extend(login("company", "wrong") for _ in range(30)))
        for _ in range(10)
    ]
    for thread in guesses:
        thread.start()
    target.answers()
    for thread in guesses:
        thread.join()
    assert set(statuses) <= {401, 429}
    assert statuses.count(401) < 30
    assert [login(user, users[user]) for user in ("company", "root")] == [200, 200]


def test_a_name_that_does_not_exist_is_refused_like_one_that_does(target: Target) -> None:
    """devpi checked no password for it: 3 ms told that there is no such user. Here both are throttled."""
    for name in (f"nobody{target.port}", f"somebody{target.port}"):
        statuses = [
            requests.post(
                f"{target.url}/+login", json={"user": name, "password": "x"}, timeout=60
            ).status_code
            for _ in range(12)
        ]
        assert statuses[0] == 401
        assert statuses[-1] == 429

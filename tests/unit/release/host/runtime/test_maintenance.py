"""The promises of release.host.runtime.maintenance that need no socket."""

import asyncio
import json
from pathlib import Path
from unittest import mock

import pytest

from release.host.runtime import maintenance

ALLOWED = ["/healthz", "/admin/", "/über"]


@pytest.mark.parametrize(
    "target",
    [
        b"/healthz",
        b"/healthz?full=1",
        b"/healthz?next=/../secret#//",
        b"/healthz/",
        b"/healthz/db",
        b"/admin",
        b"/admin/",
        b"/admin/users/7/~edit",
        b"/%61dmin/users",
        b"/admin/caf%C3%A9",
        b"/%C3%BCber/uns",
    ],
)
def test_an_allowed_path_and_what_is_below_it_are_open(target: bytes) -> None:
    """However a client encodes letters; what the query says is the application's business."""
    assert maintenance.is_open(target, ALLOWED)


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/shop",
        b"/healthzz",
        b"/healthz.php",
        b"/HEALTHZ",
        b"/shop/healthz",
        b"//admin/",
        b"///admin",
        b"/admin//secret",
        b"/admin/../secret",
        b"/admin/./../secret",
        b"/admin/..",
        b"/admin/.",
        b"/admin/%2e%2e/secret",
        b"/admin/%2E%2e%2fsecret",
        b"/admin/..%2fsecret",
        b"/admin%2f..%2fsecret",
        b"/admin%2fusers",
        b"/admin/%252e%252e/secret",
        b"/admin/..%5csecret",
        b"/admin/..\\secret",
        b"/admin\\..\\secret",
        b"/admin/..;/secret",
        b"/admin/..%3b/secret",
        b"/admin;/../secret",
        b"/admin/%00",
        b"/admin/%0d%0aX: y",
        b"/admin/%3f/../secret",
        b"/admin/%23",
        b"/admin/#/secret",
        b"/admin/%",
        b"/admin/%zz",
        b"/admin/%c0%ae%c0%ae/secret",
        b"/admin/%ff",
        b"/admin/\xff",
        b"/admin/<x>",
        b"?/admin/",
        b"admin/",
        b"*",
        b"",
        b"http://shop.example.com/admin/",
        b"http://shop.example.com/secret?/admin/",
        b"HTTP://x@shop.example.com//admin/",
        b"shop.example.com:443",
        b"/shop?/admin/",
        b"/shop/%2e%2e/admin/",
        b"/./admin/",
        b"/%2fadmin/",
    ],
)
def test_what_servers_read_differently_is_not_open(target: bytes) -> None:
    """One of them might see a path that was to stay closed."""
    assert not maintenance.is_open(target, ALLOWED)


def head(text: str) -> bytes:
    """The head of a request, from lines."""
    return text.strip().replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /admin/ HTTP/1.1\n\n",
        b"GET /admin/ HTTP/1.1\r\nHost: x\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET  /admin/ HTTP/1.1\r\n\r\n",
        b"GET /admin/ x HTTP/1.1\r\n\r\n",
        b"GET /admin/\r\n\r\n",
        b"GET /admin/ HTTP/2.0\r\n\r\n",
        b"GET /admin/ HTTP/1.10\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_a_head_that_is_not_plain_is_not_read(raw: bytes) -> None:
    """Servers are lenient in different ways (RFC 9112, section 11.2)."""
    assert maintenance.parse(raw) is None


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ("", 0),
        ("Content-Length: 5", 5),
        ("Content-Length: 5\nContent-Length: 5", None),
        ("Content-Length: +5", None),
        ("Content-Length: 5, 5", None),
        ("Content-Length: 0x5", None),
        ("Content-Length:", None),
        ("Content-Length: 5\nTransfer-Encoding: chunked", None),
        ("transfer-encoding: identity", None),
    ],
)
def test_the_length_of_a_body_is_known_or_not_guessed(headers: str, length: int | None) -> None:
    """Where a body ends decides where the next request begins."""
    parsed = maintenance.parse(head(f"POST /admin/ HTTP/1.1\nHost: x\n{headers}"))
    assert parsed
    assert parsed.length == length


def passed_on(text: str) -> list[str]:
    parsed = maintenance.parse(head(text))
    assert parsed
    return maintenance.passed_on(parsed).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


def test_the_application_gets_the_request_as_the_last_one_of_its_connection() -> None:
    """A second one would not be looked at; headers keep their values, and the order of equal ones."""
    assert passed_on("GET /admin/?a HTTP/1.1\nHost: x\nConnection: keep-alive, X-Y\nX-Y: 1\nX-Y: 2") == [
        "GET /admin/?a HTTP/1.1",
        "host: x",
        "x-y: 1",
        "x-y: 2",
        "connection: close",
    ]


def test_a_header_cannot_move_the_path() -> None:
    """gunicorn takes SCRIPT_NAME off the path: /admin/secret would be /secret for the application."""
    assert passed_on("GET /admin/secret HTTP/1.1\nSCRIPT_NAME: /admin\nScript_Name: /admin\nX: y") == [
        "GET /admin/secret HTTP/1.1",
        "x: y",
        "connection: close",
    ]


def test_a_websocket_is_passed_on_and_no_other_protocol() -> None:
    """Over h2c a client would send any number of requests for any path."""
    assert passed_on("GET /admin/ HTTP/1.1\nConnection: Upgrade\nUpgrade: WebSocket")[1:] == [
        "connection: upgrade",
        "upgrade: websocket",
    ]
    for headers in (
        "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQ",
        "Connection: Upgrade\nUpgrade: websocket, h2c",
        "Connection: Upgrade\nUpgrade: websocket\nUpgrade: h2c",
        "Upgrade: websocket",
    ):
        assert passed_on(f"GET /admin/ HTTP/1.1\n{headers}")[1:] == ["connection: close"]


def answer(state: maintenance.State, text: str) -> tuple[dict[str, str], str]:
    """Headers and body of the answer to a request."""
    raw = state.answer(maintenance.parse(head(text))).decode()
    first, _, body = raw.partition("\r\n\r\n")
    assert first.startswith("HTTP/1.1 503 ")
    return dict(line.split(": ") for line in first.splitlines()[1:]), body


def test_the_answer_is_the_page_and_says_when_to_come_back(tmp_path: Path) -> None:
    """A cache that kept it would go on with it afterwards; an API's client wants no HTML."""
    path = tmp_path / "maintenance.json"
    path.write_text(json.dumps({"allow": [], "retry_after": 60, "page": "<p>über</p>"}))
    state = maintenance.State(path)
    headers, body = answer(state, "GET / HTTP/1.1")
    assert (headers["Retry-After"], headers["Cache-Control"], body) == ("60", "no-store", "<p>über</p>")
    assert headers["Content-Length"] == "12"
    assert answer(state, "HEAD / HTTP/1.1") == (headers, "")
    headers, body = answer(state, "GET / HTTP/1.1\nAccept: application/json")
    assert (headers["Content-Type"], json.loads(body)["retry_after"]) == ("application/json", 60)
    assert answer(state, "GET / HTTP/1.1\nAccept: text/html, application/json")[1] == "<p>über</p>"


def test_a_changed_state_counts_from_the_next_request_on(tmp_path: Path) -> None:
    """The program goes on while somebody changes how it answers; without the file nothing is open."""
    path = tmp_path / "maintenance.json"
    state = maintenance.State(path)
    assert (state.allowed, b"Back in a moment" in state.html) == ([], True)
    path.write_text(json.dumps({"allow": ["/a"], "retry_after": 60, "page": None}))
    state.read()
    assert state.allowed == ["/a"]
    path.unlink()
    state.read()
    assert state.allowed == []


def test_bodies_that_hardly_come_keep_nobody_out(tmp_path: Path) -> None:
    """The slowest makes room, and not one that is answered, or a WebSocket."""

    async def fill() -> None:
        server = maintenance.Server(maintenance.State(tmp_path / "maintenance.json"), tmp_path / "live")
        now = server.loop.time()
        slow, fast, new, answered = clients = [maintenance.Client(server) for _ in range(4)]
        for client, seconds, moved, body in zip(
            clients, (200, 200, 0, 250), (100, 2**26, 0, 0), (9, 9, 9, 0), strict=True
        ):
            client.transport = mock.Mock()
            client.began, client.moved, client.body = now - seconds, moved, body
            server.passes(client)
            client.touch()
        assert slow.deadline < now + maintenance.BODY_TIMEOUT + 1
        assert answered.deadline > now + maintenance.BODY_TIMEOUT + 1
        assert server.has_room()
        server.most_passed = 4
        assert server.has_room()
        assert server.passed == {fast, new, answered}
        assert isinstance(slow.transport, mock.Mock)
        slow.transport.abort.assert_called_once()
        server.most_passed, fast.body, new.body = 3, 0, 0
        assert not server.has_room()

    asyncio.run(fill())


def test_the_built_in_page_loads_nothing() -> None:
    """It is shown while everything else may be broken."""
    assert "://" not in maintenance.PAGE
    assert "src=" not in maintenance.PAGE

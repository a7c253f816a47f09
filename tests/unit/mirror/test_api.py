"""mirror.api: what devpi answers, and every way in which it does not, become results or words."""

import httpx
import pytest

from mirror.api import HttpApi, RefusedError, about
from packhorse.errors import PackhorseError

URL = "http://127.0.0.1:3141"


class FakeServer:
    """Answers every request with the same status and body, or not at all, and keeps what it was asked."""

    def __init__(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.status, self.body, self.kind = status, body, kind
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(self.status, content=self.body, headers={"Content-Type": self.kind})


def _api(server: FakeServer, password: str | None = None) -> HttpApi:
    api = HttpApi(URL, password)
    api._client._transport = httpx.MockTransport(server)
    return api


def test_a_call_is_json_with_the_password_of_root_in_a_header_and_gives_the_result() -> None:
    """devpi takes name and password with every request."""
    server = FakeServer(200, b'{"type": "userconfig", "result": {"a": 1}}')
    assert _api(server, "r").call("PUT", "/company", {"password": "c"}) == {"a": 1}
    (request,) = server.asked
    assert (request.method, str(request.url), request.read()) == (
        "PUT",
        f"{URL}/company",
        b'{"password":"c"}',
    )
    assert request.headers["Authorization"] == "Basic cm9vdDpy"


def test_a_refusal_names_the_address_and_the_reason_and_no_password() -> None:
    """devpi says why, in its message."""
    api = _api(FakeServer(403, b'{"message": "no permission"}'), "s3cret")
    with pytest.raises(PackhorseError) as caught:
        api.call("PUT", "/company", {"password": "s3cret"})
    assert caught.value.message == f"PUT {URL}/company: the mirror answered 403: no permission"


def test_a_refusal_can_say_what_was_asked_instead_of_the_address() -> None:
    """Users of a command have never seen the address."""
    refused = _api(FakeServer(404, b'{"message": "No such index."}'))
    with pytest.raises(RefusedError) as caught, about("demo on company/nope"):
        refused.call("GET", "/company/nope/+why/demo")
    assert caught.value.message == "demo on company/nope: No such index."
    assert caught.value.status == 404


def test_who_names_what_is_not_there_is_not_sent_to_the_servers_log() -> None:
    """A typo in `mirror yank`: the server is well, and its log says nothing more."""
    with pytest.raises(PackhorseError, match="no demo 8") as caught:
        _api(FakeServer(404, b'{"message": "there is no demo 8 on company/dev"}')).call("PUT", "/x")
    assert "lists its releases" in caught.value.hint
    assert "log" not in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [("text/html", b"<html>", "Bad Gateway"), ("application/json", b"[]", "no reason given")],
)
def test_an_answer_that_is_not_from_devpi_is_put_into_words_too(kind: str, body: bytes, reason: str) -> None:
    """A web server in front of it answers in HTML when devpi is gone."""
    with pytest.raises(PackhorseError, match=f"answered 502: {reason}"):
        _api(FakeServer(502, body, kind)).call("GET", "/")


def test_a_server_that_does_not_answer_is_an_error_with_a_hint() -> None:
    """It may just not run."""
    with pytest.raises(PackhorseError, match=f"No answer from the mirror at {URL}") as caught:
        _api(FakeServer(0, b"")).call("GET", "/")
    assert "mirror serve" in caught.value.hint


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (401, False)])
def test_a_login_tells_a_right_password_from_a_wrong_one(status: int, accepted: bool) -> None:  # noqa: FBT001 (a table)
    """`mirror init` compares our file with the server."""
    assert _api(FakeServer(status, b"{}")).accepts("company", "c") is accepted


def test_no_proxy_stands_between_us_and_our_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy answers 403 or 502 for 127.0.0.1, which looks like a broken mirror."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert _api(FakeServer(200, b"{}"))._client.trust_env is False

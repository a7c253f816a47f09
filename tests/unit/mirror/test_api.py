"""mirror.api: what devpi answers, and every way in which it does not, become results or words."""

from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from mirror.api import HttpApi
from packhorse.errors import PackhorseError

URL = "http://127.0.0.1:3141"


class FakeTransport(BaseAdapter):
    """Answers every request with the same status and body, or fails, and keeps what it was asked."""

    def __init__(self, status: int, body: bytes, kind: str = "application/json") -> None:
        super().__init__()
        self.status, self.body, self.kind = status, body, kind
        self.asked: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # noqa: ANN401 (as requests)
        self.asked.append(request)
        if self.status == 0:
            raise requests.ConnectionError("refused")
        answer = requests.Response()
        answer.status_code = self.status
        answer.reason = "Bad Gateway"
        answer.headers["content-type"] = self.kind
        answer._content = self.body
        return answer

    def close(self) -> None:
        """There is nothing to close."""


def _api(transport: FakeTransport, password: str | None = None) -> HttpApi:
    api = HttpApi(URL, password)
    api._session.mount("http://", transport)
    return api


def test_a_call_is_json_with_the_password_of_root_in_a_header_and_gives_the_result() -> None:
    """devpi takes name and password with every request."""
    transport = FakeTransport(200, b'{"type": "userconfig", "result": {"a": 1}}')
    assert _api(transport, "r").call("PUT", "/company", {"password": "c"}) == {"a": 1}
    (request,) = transport.asked
    assert (request.method, request.url, request.body) == ("PUT", f"{URL}/company", b'{"password": "c"}')
    assert request.headers["Authorization"] == "Basic cm9vdDpy"


def test_a_refusal_names_the_address_and_the_reason_and_no_password() -> None:
    """devpi says why, in its message."""
    api = _api(FakeTransport(403, b'{"message": "no permission"}'), "s3cret")
    with pytest.raises(PackhorseError) as caught:
        api.call("PUT", "/company", {"password": "s3cret"})
    assert caught.value.message == f"PUT {URL}/company: the mirror answered 403: no permission"


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [("text/html", b"<html>", "Bad Gateway"), ("application/json", b"[]", "no reason given")],
)
def test_an_answer_that_is_not_from_devpi_is_put_into_words_too(kind: str, body: bytes, reason: str) -> None:
    """A web server in front of it answers in HTML when devpi is gone."""
    with pytest.raises(PackhorseError, match=f"answered 502: {reason}"):
        _api(FakeTransport(502, body, kind)).call("GET", "/")


def test_a_server_that_does_not_answer_is_an_error_with_a_hint() -> None:
    """It may just not run."""
    with pytest.raises(PackhorseError, match=f"No answer from the mirror at {URL}") as caught:
        _api(FakeTransport(0, b"")).call("GET", "/")
    assert "mirror serve" in caught.value.hint


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (401, False)])
def test_a_login_tells_a_right_password_from_a_wrong_one(status: int, accepted: bool) -> None:  # noqa: FBT001 (a table)
    """`mirror init` compares our file with the server."""
    assert _api(FakeTransport(status, b"{}")).accepts("company", "c") is accepted


def test_no_proxy_stands_between_us_and_our_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy answers 403 or 502 for 127.0.0.1, which looks like a broken mirror."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert _api(FakeTransport(200, b"{}"))._session.trust_env is False

"""Which requests have a token for reading, where the login goes, and what is said when there is none."""

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release import reading
from release.credentials import Credentials
from release.index import Response

DEV, PROD = "https://pypi.example.com/company/dev", "https://pypi.example.com/company/prod"
PAGE = f"{DEV}/+simple/shop/"
ANNA = Credentials("anna", "her password")
GIVEN = Credentials("", "devpi-given")


@dataclass
class Server:
    """An index: pages that ask for a token, and what `+read-token` answers."""

    minted: Response = field(default_factory=lambda: minted("devpi-short"))
    opens: str = "devpi-short"
    redirects: dict[str, str] = field(default_factory=dict)
    public: Sequence[str] = ()
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    posted: list[tuple[str, str]] = field(default_factory=list)

    def get(self, url: str, _accept: str, *, token: str | None = None) -> Response:
        """As `index.get`: it follows redirects, and they take no token along."""
        self.asked.append((url, token))
        if url in self.redirects:
            return self.get(self.redirects[url], _accept)
        if token == self.opens or url.startswith(tuple(self.public)):
            return Response(url, 200)
        return Response(url, 403 if token else 401, "Forbidden" if token else "Unauthorized")

    def post(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """As `index.ask`."""
        assert body == b""
        self.posted.append((url, base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()))
        return self.minted


def minted(token: str, seconds: float = 3600) -> Response:
    body = f'{{"token": "{token}", "expires": {time.time() + seconds}}}'.encode()
    return Response(f"{DEV}/+read-token", 200, body=body)


def reader(server: Server, login: Credentials = ANNA, indexes: Sequence[str] = (DEV,)) -> reading.Reader:
    return reading.Reader(indexes, lambda _: login, fetch=server.get, post=server.post, made={})


def test_an_index_that_asks_for_a_login_gets_it_once_and_then_the_token() -> None:
    """Without a login first; the password goes to one address."""
    server = Server()
    anna = reader(server)
    assert [anna.get(PAGE, "*/*").status for _ in range(2)] == [200, 200]
    assert server.asked == [(PAGE, None), (PAGE, "devpi-short"), (PAGE, "devpi-short")]
    assert server.posted == [(f"{DEV}/+read-token", "anna:her password")]


def test_an_index_for_everybody_sees_neither_login_nor_token() -> None:
    """Nobody is asked for a password, so that a machine without one works as before."""
    server = Server(public=[DEV])
    anna = reader(server)
    assert anna.get(PAGE, "*/*").status == 200
    assert anna.token() is None
    assert server.posted == []
    assert server.asked == [(PAGE, None)]  # a deploy to an index for everybody asks nothing more


def test_a_base_for_everybody_opens_no_index_that_inherits_from_it() -> None:
    """Its files lie on the same server; what hosts need for the index is known of the index alone."""
    base = "https://pypi.example.com/root/pypi"
    server = Server(public=[base])
    anna = reader(server)
    assert anna.get(f"{base}/+f/flask.whl", "*/*").status == 200
    assert anna.token() == "devpi-short"


@pytest.mark.parametrize(
    "url",
    [
        "http://pypi.example.com/company/dev/+simple/shop/",
        "https://pypi.example.com:8443/company/dev/+simple/shop/",
        "https://pypi.example.com.evil.example.org/company/dev/",
        "https://evil.example.org/company/dev/+simple/shop/",
        "https://pypi.example.com@evil.example.org/company/dev/",
        "https://pypi.example.com:port/company/dev/",
    ],
)
def test_another_origin_gets_nothing_whatever_it_answers(url: str) -> None:
    """A page may name files anywhere; who answers 401 there would get the token."""
    server = Server()
    anna = reader(server)
    anna.get(PAGE, "*/*")
    server.posted.clear()
    server.asked.clear()
    assert anna.get(url, "*/*").status == 401
    assert (server.asked, server.posted) == ([(url, None)], [])


def test_a_redirect_to_another_origin_takes_no_token_along() -> None:
    """Neither does the 401 that waits there get the login."""
    away = "https://evil.example.org/company/dev/+simple/shop/"
    server = Server(redirects={PAGE: away})
    anna = reader(server)
    assert anna.get(PAGE, "*/*").status == 401
    assert server.posted == []
    assert (away, None) in server.asked
    assert {token for url, token in server.asked if url == away} == {None}


def test_a_redirect_on_the_same_origin_is_followed_with_the_token() -> None:
    """devpi redirects from /Shop to /shop/."""
    other = f"{DEV}/+simple/Shop/"
    server = Server(redirects={other: PAGE})
    anna = reader(server)
    for _ in range(2):
        assert anna.get(other, "*/*") == Response(PAGE, 200)
    assert len(server.posted) == 1


def test_files_of_a_base_are_read_with_the_token_of_the_index() -> None:
    """The token of the index that is asked reads what it inherits from."""
    server = Server()
    anna = reader(server)
    assert anna.get(f"{PROD}/+f/123/shop-1.0.whl", "*/*").status == 200
    assert server.posted == [(f"{DEV}/+read-token", "anna:her password")]


def test_each_of_several_indexes_has_a_token_of_its_own() -> None:
    """`release promote` reads two."""
    server = Server()
    anna = reader(server, indexes=(DEV, PROD))
    for name in (PROD, DEV, PROD):
        assert anna.get(f"{name}/+simple/shop/", "*/*").status == 200
    assert [url for url, _ in server.posted] == [f"{PROD}/+read-token", f"{DEV}/+read-token"]


def test_what_is_no_index_is_asked_without_a_token_first() -> None:
    """Known vulnerabilities are of the whole server, and for everybody."""
    url = "https://pypi.example.com/+advisories?a"
    server = Server(public=[url])
    anna = reader(server)
    anna.get(PAGE, "*/*")
    assert anna.get(url, "*/*").status == 200
    assert server.asked[-1] == (url, None)


def test_a_token_that_is_about_to_expire_is_made_anew() -> None:
    """A build may take longer than an hour."""
    server = Server(minted=minted("devpi-short", seconds=30))
    anna = reader(server)
    anna.get(PAGE, "*/*")
    anna.get(PAGE, "*/*")
    assert len(server.posted) == 2


@pytest.mark.parametrize("status", [404, 405])
def test_a_devpi_without_our_plugin_gets_a_given_token_and_never_a_password(status: int) -> None:
    """Whoever made the token said what it may; a password would go to strangers' build backends."""
    server = Server(Response(f"{DEV}/+read-token", status, "Not Found"), opens="devpi-given")
    assert reader(server, GIVEN).get(PAGE, "*/*").status == 200
    for login in (ANNA, Credentials("__token__", "devpi-for-uploads")):
        with pytest.raises(PackhorseError, match="makes no tokens for reading") as caught:
            reader(server, login).get(PAGE, "*/*")
        assert reading.VARIABLE in (caught.value.hint or "")
    assert not any(token and "devpi-given" not in token for _, token in server.asked)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "refuses the password of anna", "release login"),
        (403, "does not read it: This token", "mirror.toml"),
        (429, "too many were wrong", "in a minute"),
        (302, "answered 302", "log"),
    ],
)
def test_who_gets_no_token_is_told_what_to_do(status: int, message: str, hint: str) -> None:
    """In two lines, without the password."""
    server = Server(Response(f"{DEV}/+read-token", status, "This token is for projects"))
    with pytest.raises(PackhorseError, match=message) as caught:
        reader(server).get(PAGE, "*/*")
    assert hint in (caught.value.hint or "")
    assert "her password" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"token": "x", "expires": []}'])
def test_an_answer_that_is_no_token_is_an_error(body: bytes) -> None:
    """A login page of a proxy, say."""
    server = Server(Response(f"{DEV}/+read-token", 200, body=body))
    with pytest.raises(PackhorseError, match="something else than a token"):
        reader(server).get(PAGE, "*/*")


def test_hosts_that_need_no_index_do_not_wait_for_one() -> None:
    """A rollback works while the index is down."""

    def down(_url: str, _accept: str, *, token: str | None = None) -> Response:
        raise OSError(token)

    assert reading.Reader([DEV], lambda _: ANNA, fetch=down, made={}).token() is None


def test_tokens_and_logins_do_not_show() -> None:
    """A traceback may have them."""
    assert "secret" not in repr(reading.Token("secret"))
    assert "devpi" not in repr(GIVEN)


def test_uv_gets_the_token_where_no_argument_and_no_url_has_it() -> None:
    """And nothing where everybody reads."""
    found = reading.uv_variables(f"{DEV}/+simple/", "devpi-short")
    assert found == {
        "UV_DEFAULT_INDEX": f"company={DEV}/+simple/",
        "UV_INDEX_COMPANY_PASSWORD": "devpi-short",
    }
    assert reading.uv_variables(f"{DEV}/+simple/", None) == {}


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that nobody has logged in on."""
    for name in (reading.VARIABLE, "TWINE_USERNAME", "TWINE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("release.credentials.SystemKeyring.get_password", lambda *_: None)


@pytest.mark.usefixtures("no_keyring")
def test_the_login_is_the_variable_for_reading_else_that_of_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI has a token that reads alone beside the one that uploads."""
    server = Server()

    def used() -> str:
        made = reading.of([DEV, PROD], tmp_path)
        server.posted.clear()
        made._fetch, made._post, made._made = server.get, server.post, {}
        made.get(PAGE, "*/*")
        return server.posted[0][1]

    with pytest.raises(PackhorseError, match="there is no login for it here") as caught:
        used()
    assert "release login" in (caught.value.hint or "")
    monkeypatch.setenv("TWINE_PASSWORD", "of uploads")
    assert used() == "company:of uploads"
    monkeypatch.setenv(reading.VARIABLE, "devpi-reads")
    assert used() == ":devpi-reads"


def test_completion_asks_no_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would open a window to unlock it, for a key that somebody typed."""
    for name in (reading.VARIABLE, "TWINE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def unlock(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("release.credentials.SystemKeyring.get_password", unlock)
    server = Server()
    made = reading.of([DEV], tmp_path, 1.0, reading.NoKeyring())
    made._fetch, made._post, made._made = server.get, server.post, {}
    with pytest.raises(PackhorseError, match="no login"):
        made.get(PAGE, "*/*")

"""Tokens for reading, which a login gets for an hour: what they read, what they do not, and when they end."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pymacaroons import Macaroon

from tests.support import protected
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import mirror_of
from tests.support.protected import Protected, mirror
from tests.support.servers import BIN
from tests.support.upstream import JSON, Upstream

Login = tuple[str, str]
API = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Protected]:
    """company/prod, which company/dev inherits from, is for anna, company/other for bert."""
    with Upstream() as upstream, mirror_of(upstream, protected.SETTINGS + "[audit]\n") as mirrored:
        yield protected.prepare(mirrored)


def ask(guarded: Protected, index: str, login: Login | None) -> Any:  # noqa: ANN401 (requests' own)
    url = f"{guarded.url}/{index}/+read-token"
    return requests.post(url, auth=login, headers=API, timeout=60)


def read_token(guarded: Protected, index: str, login: Login) -> Login:
    answer = ask(guarded, index, login)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"].split(", ")[-1] == "no-store"
    assert 3500 < answer.json()["expires"] - time.time() <= 3600
    return "__token__", answer.json()["token"]


def status(url: str, login: Login | None = None) -> int:
    answer = requests.get(url, auth=login, headers={"Accept": JSON}, timeout=30, allow_redirects=False)
    return answer.status_code


def addresses(guarded: Protected) -> list[str]:
    """A page of company/dev, and the file on its base that the page leads to."""
    return [f"{guarded.url}/company/dev/+simple/secretlib/", f"{guarded.url}/company/prod/{guarded.path}"]


def made(guarded: Protected, *options: str, user: str = "anna") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mirror(guarded, "token", "create", "--json", "--user", user, *options))
    return found


def narrowed(token: str, *limits: str) -> str:
    macaroon = Macaroon.deserialize(token.removeprefix("devpi-"))
    for limit in limits:
        macaroon.add_first_party_caveat(limit)
    return f"devpi-{macaroon.serialize()}"


def test_the_audit_log_says_who_got_one_and_not_what_it_is(guarded: Protected) -> None:
    """The first test here: after thirty denials of one client, the log leaves some out."""
    token = read_token(guarded, "company/dev", guarded.anna)[1]
    assert ask(guarded, "company/dev", guarded.bert).status_code == 403
    options = ("--json", "--action", "read-token", "--since", "1h")
    lines = guarded.mirror.run(BIN / "mirror", "audit-log", *options).stdout
    events = [json.loads(line) for line in lines.splitlines()]
    got, denied = events[-2:]
    assert (got["who"], got["result"], got["index"], got["may"]) == ("anna", "ok", "company/dev", "pkg_read")
    assert got["id"] in mirror(guarded, "token", "list")
    assert got["expires"]
    assert (denied["who"], denied["result"], denied["index"]) == ("bert", "denied", "company/dev")
    assert token[-20:] not in lines
    logs = guarded.mirror.home.rglob("*.log")
    assert not any(token[-20:] in path.read_text(errors="replace") for path in logs)


def test_a_login_reads_for_an_hour_and_does_nothing_else(guarded: Protected) -> None:
    """Of the index that it named, and of its bases: not of another one that the user may read, nor upload."""
    token = read_token(guarded, "company/dev", ("company", guarded.mirror.credentials["company"]))
    assert [status(url, token) for url in addresses(guarded)] == [200, 200]
    assert status(f"{guarded.url}/company/other/+simple/secretlib/", token) == 403
    dist = wheel("secretlib", "2.0")
    form = {":action": "file_upload", "name": "secretlib", "version": "2.0", "metadata_version": "2.1"}
    sent = requests.post(
        f"{guarded.url}/company/dev/",
        data=form,
        files={"content": (dist.filename, dist.content)},
        auth=token,
        timeout=30,
    )
    assert sent.status_code == 403, sent.text
    own = wheel("ownlib", "1.0")
    (guarded.mirror.home / own.filename).write_bytes(own.content)
    guarded.mirrored.upload(guarded.mirror.home / own.filename)
    for method, path, body in (
        ("POST", "company/dev", {"name": "ownlib", "version": "1.0", "targetindex": "company/dev"}),
        ("DELETE", "company/dev/ownlib", None),
        ("PATCH", "company/dev", {"volatile": True}),
        ("POST", "company/+token-create", {}),
        ("GET", "company/+tokens", None),
        ("POST", "company/prod/+read-token", None),
        ("POST", "company/other/+read-token", None),
    ):
        answer = requests.request(
            method, f"{guarded.url}/{path}", json=body, auth=token, headers=API, timeout=30
        )
        assert answer.status_code in {401, 403}, (method, path, answer.text)
    login = {"user": "company", "password": token[1]}
    assert requests.post(f"{guarded.url}/+login", json=login, headers=API, timeout=30).status_code == 401


def test_who_may_not_read_gets_none(guarded: Protected) -> None:
    """Nor does who has not logged in, of an index for everybody."""
    assert [ask(guarded, index, None).status_code for index in ("company/dev", "company/open")] == [401, 401]
    for index in ("company/dev", "company/open", "company/nonesuch"):
        answer = ask(guarded, index, ("anna", "wrong password"))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="pypi"')
    assert ask(guarded, "company/dev", guarded.bert).status_code == 403
    assert ask(guarded, "company/nonesuch", guarded.anna).status_code == 404
    assert read_token(guarded, "company/open", guarded.bert)


def test_a_token_gets_itself_with_more_limits(guarded: Protected) -> None:
    """It lives no longer than what it was made of, and is revoked with it."""
    maker = made(guarded, "--index", "company/dev", "--may", "read", "--expires", "1h")
    login = ("__token__", narrowed(maker["token"], f"expires={int(time.time()) + 60}"))
    answer = ask(guarded, "company/dev", login).json()
    assert answer["expires"] - time.time() <= 60
    token = ("__token__", answer["token"])
    assert [status(url, token) for url in addresses(guarded)] == [200, 200]
    assert f"expires={answer['expires']}" in str(Macaroon.deserialize(token[1][6:]).inspect())
    mirror(guarded, "token", "revoke", maker["id"])
    assert [status(url, token) for url in addresses(guarded)] == [403, 403]


def test_tokens_that_read_less_than_an_index_get_none(guarded: Protected) -> None:
    """One for a project, one of another index, one that may not read."""
    company = ("--index", "company/dev", "--project", "secretlib")
    token = made(guarded, *company, user="company")["token"]
    refused = ask(guarded, "company/dev", ("__token__", token))
    assert (refused.status_code, refused.reason) == (
        403,
        "This token reads less than an index; none for reading is made of it.",
    )
    assert ask(guarded, "company/open", ("__token__", token)).status_code == 403
    token = made(guarded, "--index", "company/dev", "--may", "read")["token"]
    assert ask(guarded, "company/prod", ("__token__", token)).status_code == 403
    for index in ("company/dev", "company/open"):
        blind = made(guarded, "--index", index, user="company")["token"]
        login = ("__token__", narrowed(blind, "allowed=upload"))
        assert ask(guarded, index, login).status_code == 403


def test_an_expired_token_reads_nothing(guarded: Protected) -> None:
    token = read_token(guarded, "company/dev", guarded.anna)[1]
    expired = ("__token__", narrowed(token, f"expires={int(time.time()) - 1}"))
    assert [status(url, expired) for url in addresses(guarded)] == [403, 403]
    assert ask(guarded, "company/dev", expired).status_code == 403


def test_all_tokens_of_a_user_end_with_one_line_of_the_list(guarded: Protected) -> None:
    """Nothing is written for a second one: a write would drop all rendered pages."""
    root = ("root", guarded.mirror.credentials["root"])
    tokens = [read_token(guarded, index, guarded.anna) for index in ("company/dev", "company/prod")]
    serials = [ask(guarded, "company/dev", guarded.anna).headers["X-DEVPI-SERIAL"] for _ in range(2)]
    assert serials[0] == serials[1]
    listed = json.loads(mirror(guarded, "token", "list", "--json"))
    (own,) = [row for row in listed if row["user"] == "anna" and row["reading"]]
    assert "an hour for each login" in mirror(guarded, "token", "list")
    of_root = read_token(guarded, "company/dev", root)
    assert [status(addresses(guarded)[1], token) for token in (*tokens, of_root)] == [200, 200, 200]
    mirror(guarded, "token", "revoke", own["id"])
    assert [status(addresses(guarded)[1], token) for token in (*tokens, of_root)] == [403, 403, 200]
    assert status(addresses(guarded)[0], read_token(guarded, "company/dev", guarded.anna)) == 200


def test_a_token_ends_with_its_user(guarded: Protected) -> None:
    """Also when there is one of that name again."""
    open_index = "company/open"
    add = ("user", "add", "carl", "--generate")
    token = read_token(guarded, open_index, ("carl", mirror(guarded, *add).strip()))
    assert ask(guarded, open_index, token).status_code == 200
    mirror(guarded, "user", "remove", "carl", "--yes")
    assert ask(guarded, open_index, token).status_code == 403
    mirror(guarded, *add)
    assert ask(guarded, open_index, token).status_code == 403
    mirror(guarded, "user", "remove", "carl", "--yes")


def test_a_token_ends_with_the_password_that_it_is_of(guarded: Protected) -> None:
    """Who changes a stolen password means all that was made of it; a token for a program stays."""
    add = ("user", "add", "dora", "--generate")
    password = mirror(guarded, *add).strip()
    of_password = read_token(guarded, "company/open", ("dora", password))
    options = ("--index", "company/open", "--may", "read")
    of_token = read_token(
        guarded, "company/open", ("__token__", made(guarded, *options, user="dora")["token"])
    )
    assert [ask(guarded, "company/open", token).status_code for token in (of_password, of_token)] == [
        200,
        200,
    ]
    url = f"{guarded.url}/dora"
    changed = requests.patch(url, json={"password": "another one"}, auth=("dora", password), timeout=60)
    assert changed.status_code == 200
    assert [ask(guarded, "company/open", token).status_code for token in (of_password, of_token)] == [
        403,
        200,
    ]
    mirror(guarded, "user", "remove", "dora", "--yes")


def test_a_token_ends_when_its_user_may_read_no_more(guarded: Protected) -> None:
    """Both of a password and of a token; that of others stays."""
    url, root = f"{guarded.url}/+readers", ("root", guarded.mirror.credentials["root"])
    tokens = [read_token(guarded, "company/dev", guarded.anna)]
    maker = made(guarded, "--index", "company/dev", "--may", "read")["token"]
    tokens.append(read_token(guarded, "company/dev", ("__token__", maker)))
    other = read_token(guarded, "company/dev", ("company", guarded.mirror.credentials["company"]))
    declared = requests.get(url, auth=root, timeout=30).json()["result"]
    narrowed = {**declared, "company/prod": ["company"]}
    requests.put(url, json=narrowed, auth=root, timeout=30).raise_for_status()
    try:
        for address in addresses(guarded):
            assert [status(address, token) for token in (*tokens, other)] == [403, 403, 200]
        assert [ask(guarded, "company/dev", token).status_code for token in (*tokens, other)] == [
            403,
            403,
            200,
        ]
    finally:
        requests.put(url, json=declared, auth=root, timeout=30).raise_for_status()
    assert [status(addresses(guarded)[1], token) for token in tokens] == [200, 200]


def test_who_asks_again_and_again_gets_the_same_token(guarded: Protected) -> None:
    """Otherwise it grew with each, and what takes long to check keeps a server busy."""
    token = read_token(guarded, "company/dev", guarded.anna)
    assert [ask(guarded, "company/dev", token).json()["token"] for _ in range(3)] == [token[1]] * 3
    few, many = (narrowed(token[1], *["expires=never"] * count) for count in (90, 100))
    assert status(addresses(guarded)[1], ("__token__", few)) == 200
    refused = requests.get(addresses(guarded)[1], auth=("__token__", many), timeout=30)
    assert (refused.status_code, refused.reason) == (403, "Token with more than 100 limits")


def test_a_token_shows_no_rights_and_no_login_of_an_upstream(guarded: Protected) -> None:
    """It may be on many hosts; people see the rights, and root alone the logins, also one of root's own."""
    root = ("root", guarded.mirror.credentials["root"])
    of_root = read_token(guarded, "root/pypi", root)
    upstream = {"mirror_url": guarded.mirrored.upstream.url.replace("://", "://user:pass@")}
    requests.patch(f"{guarded.url}/root/pypi", json=upstream, auth=root, timeout=30).raise_for_status()
    texts = [
        requests.get(f"{guarded.url}/{path}", auth=login, headers=API, timeout=30).text
        for path, login in (
            ("root/pypi", root),
            ("root/pypi", of_root),
            ("root", of_root),
            ("company", guarded.anna),
            ("company", read_token(guarded, "company/dev", guarded.anna)),
        )
    ]
    assert ["user:pass" in text for text in texts] == [True, False, False, False, False]
    assert ["acl_upload" in text for text in texts] == [False, False, False, True, False]


@pytest.mark.parametrize("name", ["a/b", "../anna", "a//"])
def test_a_name_with_a_slash_is_nobody(guarded: Protected, name: str) -> None:
    """devpi raised an error for it, with a traceback in its log for each request of anybody."""
    forged = f"devpi-{Macaroon(identifier=f'{name}-1', key='x' * 16, version=2).serialize()}"
    found = [
        ask(guarded, "company/dev", (name, "x")).status_code,
        ask(guarded, "company/dev", ("__token__", forged)).status_code,
        requests.post(f"{guarded.url}/+login", json={"user": name, "password": "x"}, timeout=30).status_code,
    ]
    assert found == [401, 403, 401]

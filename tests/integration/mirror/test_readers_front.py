"""Protected indexes behind nginx: from disk to those who may read them, and to nobody else."""

import http.client
import itertools
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
import requests
from requests.auth import _basic_auth_str

from tests.support import nginx_front, protected
from tests.support.mirror_and_upstream import Mirrored
from tests.support.protected import Protected, mirror
from tests.support.servers import BIN
from tests.support.upstream import JSON, Upstream

pytestmark = pytest.mark.needs("nginx")


@pytest.fixture(scope="module")
def fronted(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    with nginx_front.fronted(
        upstream, port, protected.SETTINGS.replace("request_timeout = 2\n", "")
    ) as mirrored:
        yield mirrored


@pytest.fixture(scope="module")
def direct(fronted: Mirrored) -> Protected:
    """At devpi-server's own address."""
    return protected.prepare(fronted)


@pytest.fixture(scope="module")
def front(direct: Protected, port: int) -> Protected:
    """At nginx's."""
    return direct.at(f"http://127.0.0.1:{port}")


def say(
    front: Protected,
    path: str,
    login: tuple[str, str] | None = None,
    method: str = "GET",
    **headers: str,
) -> tuple[int, bytes]:
    """Status and body for a path sent as it is."""
    given = {"Accept": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if login:
        given["Authorization"] = _basic_auth_str(*login)
    with closing(http.client.HTTPConnection(urlsplit(front.url).netloc, timeout=30)) as connection:
        connection.request(method, path, headers=given)
        answer = connection.getresponse()
        return answer.status, answer.read()


PAGE = "/company/dev/+simple/secretlib/"


def addresses(front: Protected) -> list[str]:
    file = f"/company/prod/{front.path}"
    return [PAGE, file, f"{file}.metadata"]


def warm(front: Protected) -> None:
    """Let all that nginx can have on disk be there."""
    for _ in range(2):
        for path in addresses(front):
            assert say(front, path, front.anna)[0] == 200, path


@contextmanager
def stopped(front: Protected) -> Iterator[None]:
    front.mirror.run(BIN / "mirror", "stop")
    try:
        yield
    finally:
        front.mirror.run(BIN / "mirror", "serve", "--background", cwd=front.mirror.home)


def test_readers_get_pages_files_and_metadata_from_disk_and_nobody_else_does(front: Protected) -> None:
    """While devpi-server does not run, nginx alone answers: those whom it has let in, for a minute."""
    options = ("--index", "company/dev", "--may", "read", "--user", "anna")
    token = ("__token__", mirror(front, "token", "create", *options).strip())
    warm(front)
    assert [say(front, path, token)[0] for path in addresses(front)] == [200, 200, 200]
    with stopped(front):
        answers = [say(front, path, front.anna) for path in addresses(front)]
        assert [status for status, _ in answers] == [200, 200, 200]
        assert answers[1][1] == front.dist.content
        assert [say(front, path, token)[0] for path in addresses(front)] == [200, 200, 200]
        for login in (None, front.bert, ("anna", "wrong password"), ("company", "")):
            for path in addresses(front):
                assert say(front, path, login)[0] == 503
    assert say(front, PAGE, front.anna)[0] == 200


def test_what_nginx_sends_is_not_for_caches_on_the_way(front: Protected) -> None:
    """A proxy would show it to others."""
    warm(front)
    for path in addresses(front):
        shown = requests.get(f"{front.url}{path}", auth=front.anna, headers={"Accept": JSON}, timeout=30)
        assert shown.headers["Cache-Control"].startswith("private, ")
        again = {"Accept": JSON, "If-None-Match": shown.headers["ETag"]}
        for login, status in ((front.anna, 304), (None, 401), (front.bert, 403)):
            assert requests.get(shown.url, auth=login, headers=again, timeout=30).status_code == status
    part = requests.get(
        f"{front.url}{addresses(front)[1]}", auth=front.anna, headers={"Range": "bytes=0-9"}, timeout=30
    )
    assert part.content == front.dist.content[:10]


METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
ODD_PATHS = (
    *(
        "//company/dev/+simple/secretlib/",
        "/company//dev/+simple/secretlib/",
        "/company/dev//+simple/secretlib/",
    ),
    *(
        "/company/dev/%2Bsimple/secretlib/",
        "/company%2Fdev/+simple/secretlib/",
        "/Company/dev/+simple/secretlib/",
    ),
    *(
        "/company/dev/+simple/SECRETLIB/",
        "/company/dev/+simple/secretlib",
        "/company/dev/./+simple/secretlib/",
    ),
    *("/root/pypi/../../company/dev/+simple/secretlib/", "/company/open/..%2Fdev/+simple/secretlib/"),
    *(
        "/company/dev%0d%0aX:y/+simple/secretlib/",
        "/company/dev/+simple/secretlib/?x=1",
        "/company/dev/+simple/secretlib/%2e/",
    ),
    *("/company/open/{path}", "/company/dev/{path}", "/root/pypi/{path}", "/company/prod/%2Bf/{rest}"),
    *(
        "/company/prod/{path}x",
        "/company/prod/+f/{hash}/other-1.0-py3-none-any.whl",
        "/company/prod/+f/../{path}",
    ),
    *("/company/open/../prod/{path}", "/company/open/..%2fprod/{path}", "/company/prod/{path}.provenance"),
    *(
        "/.granted",
        "/+granted/company/dev",
        "/+granted/company/prod/{path}",
        "/fresh/secretlib/company/dev.json",
    ),
    *("/granted/", "/granted/{secret}/fresh/secretlib/company/dev.json.gz", "/+pages/granted/{secret}/"),
)


@pytest.mark.parametrize("path", ODD_PATHS)
def test_no_spelling_of_an_address_leads_past_the_login(front: Protected, path: str) -> None:
    """Doubled slashes, escapes, dots, other cases, folders of nginx; nobody, and who may not read."""
    warm(front)
    granted = front.mirror.home / "mirror" / "server" / "+pages" / "granted"
    (secret,) = granted.iterdir()
    rest = front.path.removeprefix("+f/")
    known = {"path": front.path, "rest": rest, "hash": rest.rpartition("/")[0], "secret": secret.name}
    asked = path.format(**known)
    for login, method in itertools.product((None, front.bert, ("company", "")), METHODS):
        status, body = say(front, asked, login, method)
        assert status >= 300, (path, login, method)
        assert not any(told in body for told in (front.dist.sha256.encode(), front.dist.content))
        assert secret.name.encode() not in body.replace(asked.encode(), b"")


HEADERS: dict[str, str] = {
    "X_Original_URI": "/root/pypi/+simple/x/",
    "X_Original_URL": "/root/pypi/",
    "X_Rewrite_URL": "/root/pypi/",
    "X_Accel_Redirect": "/company/prod/",
    "X_Packhorse_Granted": "guess",
    "X_Real_IP": "127.0.0.1",
    "X_Forwarded_User": "anna",
    "Remote_User": "anna",
    "X_Devpi_Auth": "YW5uYTp4",
    "X_DEVPI_REPLICA_UUID": "1",
    "X_Packhorse_Admission": "PUT",
    "User_Agent": "pip/26.0",
    "Range": "bytes=0-10",
    "X_HTTP_Method_Override": "GET",
}


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_of_a_client_leads_past_the_login(front: Protected, name: str) -> None:
    """Those of web servers in front of others, devpi's own, and ours."""
    warm(front)
    for path in addresses(front):
        for login in (None, front.bert):
            status, body = say(front, path, login, **{name: HEADERS[name]})
            assert status in {401, 403}
            assert b"secretlib-1.0" not in body


def test_a_login_is_worth_nothing_on_another_index(front: Protected) -> None:
    """nginx keeps it by index: company/other, which is protected too, let bert in a moment ago."""
    warm(front)
    for _ in range(2):
        assert say(front, "/company/other/+simple/upstreamlib/", front.bert)[0] == 200
    assert [say(front, path, front.bert)[0] for path in addresses(front)] == [403, 403, 403]


def test_a_revoked_token_reads_nothing_although_nginx_has_let_it_in(front: Protected) -> None:
    """At once, also what another reader has put on nginx's disk again."""
    options = ("--index", "company/dev", "--may", "read", "--user", "anna", "--json")
    made = json.loads(mirror(front, "token", "create", *options))
    token = ("__token__", made["token"])
    for _ in range(3):
        assert [say(front, path, token)[0] for path in addresses(front)] == [200, 200, 200]
    mirror(front, "token", "revoke", made["id"])
    warm(front)
    assert [say(front, path, token)[0] for path in addresses(front)] == [403, 403, 403]


def test_an_old_password_reads_nothing_although_nginx_has_let_it_in(front: Protected) -> None:
    """The same for people."""
    old = front.anna
    warm(front)
    mirror(front, "user", "password", "anna", "--generate")
    assert front.anna != old
    warm(front)
    assert [say(front, path, old)[0] for path in addresses(front)] == [401, 401, 401]


def test_an_index_is_protected_behind_nginx_when_mirror_init_returns(front: Protected) -> None:
    """What nginx has on disk of company/open is gone by then; its configuration need not be written again."""
    settings = front.mirror.home / "mirror.toml"
    before, page = settings.read_text(), "/company/open/+simple/upstreamlib/"
    (file,) = json.loads(say(front, page)[1])["files"]
    address = urlsplit(requests.compat.urljoin(f"{front.url}{page}", file["url"])).path
    own = address.replace("/root/pypi/", "/company/open/")
    assert [say(front, each)[0] for each in (page, page, own, own)] == [200] * 4
    closed = before.replace('[indexes."company/open"]\n', '[indexes."company/open"]\nread = []\n')
    settings.write_text(closed)
    try:
        front.mirror.run(BIN / "mirror", "init", cwd=front.mirror.home)
        assert [say(front, each)[0] for each in (page, own)] == [401, 401]
        assert [say(front, each, front.bert)[0] for each in (page, own)] == [403, 403]
        company = ("company", front.mirror.credentials["company"])
        assert [say(front, each, company)[0] for each in (page, own)] == [200, 200]
        assert say(front, address)[0] == 200
    finally:
        settings.write_text(before)
        front.mirror.run(BIN / "mirror", "init", cwd=front.mirror.home)
    assert say(front, page)[0] == 200


def test_a_token_for_one_project_gets_nothing_from_the_disk_of_nginx(front: Protected) -> None:
    """nginx asks for a whole index; such a token reads nothing."""
    options = ("--index", "company/dev", "--project", "other", "--user", "company")
    token = ("__token__", mirror(front, "token", "create", *options).strip())
    warm(front)
    for _ in range(2):
        assert [say(front, path, token)[0] for path in addresses(front)] == [403, 403, 403]

"""What somebody without a login may write to the mirror, and learn of it: nothing."""

import socket
from pathlib import Path

import pytest
import requests

from mirror.serving import command
from mirror.state import Folder
from tests.support import faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN
from tests.support.upstream import Upstream

JSON = {"Accept": "application/json"}


def test_test_results_need_a_login_also_on_an_index_of_before(mirrored: Mirrored, tmp_path: Path) -> None:
    """60 MB were kept of nobody: devpi lets everybody upload them, and stored that as the index's setting."""
    dist = wheel(new_name("tested"), "1.0")
    (tmp_path / dist.filename).write_bytes(dist.content)
    mirrored.upload(tmp_path / dist.filename)
    url, login = mirrored.url_of(dist, "company/dev"), ("company", mirrored.mirror.credentials["company"])
    mirrored.change_index("company/dev", acl_toxresult_upload=":ANONYMOUS:")  # as the version before left it
    assert requests.post(url, json={"a": "b"}, timeout=30).status_code == 401
    assert requests.post(url, json={"a": "b"}, auth=login, timeout=30).status_code == 200
    done = mirrored.mirror.run(BIN / "mirror", "init", cwd=mirrored.mirror.home)
    assert "acl_toxresult_upload :ANONYMOUS: -> company" in done.stdout


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/root/pypi/+simple/flask/refresh"),
        ("POST", "/company/dev"),
        ("PUSH", "/company/dev"),
        ("GET", "/"),
        ("GET", "/+status"),
    ],
)
def test_it_takes_a_login(mirrored: Mirrored, method: str, path: str) -> None:
    """A push made the server send the index's files to any address, and show what that answered."""
    url = f"{mirrored.mirror.url}{path}"
    push = {
        "name": "flask",
        "version": "1.0",
        "posturl": mirrored.upstream.url,
        "username": "a",
        "password": "b",
    }
    body = {} if method == "GET" else {"json": push}
    before = len(mirrored.upstream.requests)
    assert requests.request(method, url, headers=JSON, timeout=30, **body).status_code == 401  # type: ignore[arg-type]
    assert len(mirrored.upstream.requests) == before
    assert requests.get(f"{mirrored.mirror.url}/company/dev?no_projects=", timeout=30).status_code == 200


def test_rights_are_shown_to_users_alone(mirrored: Mirrored) -> None:
    """Who may upload is whose password to guess."""
    url, users = f"{mirrored.mirror.url}/company/dev?no_projects=", mirrored.mirror.credentials

    def shown(login: tuple[str, str] | None) -> bool:
        return "acl_upload" in requests.get(url, headers=JSON, auth=login, timeout=30).json()["result"]

    assert [shown(None), shown(("company", users["company"]))] == [False, True]


def test_the_devpi_client_works_with_a_login(mirrored: Mirrored) -> None:
    """All that it lists is behind the login that it makes."""

    def devpi(*arguments: str) -> str:
        return mirrored.mirror.run(
            BIN / "devpi", *arguments, "--clientdir", mirrored.mirror.home / "client"
        ).stdout

    assert "company/dev" in devpi("use", f"{mirrored.mirror.url}/company/dev")
    devpi("login", "company", "--password", mirrored.mirror.credentials["company"])
    assert "company/prod" in devpi("index", "-l")
    assert "root/pypi" in devpi("use", "-l")
    assert "acl_upload" in devpi("index", "company/dev")


def test_an_address_that_a_client_states_is_not_repeated() -> None:
    """Only nginx on this machine may say which address clients use; a loopback client may be it."""
    with (
        Upstream() as upstream,
        mirror_of(upstream, 'outside_url = "https://packages.example.com"\n') as named,
    ):
        answer = requests.get(f"{named.mirror.url}/+api", headers={"Host": "evil.example.org"}, timeout=30)
        assert "evil" not in answer.text


def test_an_index_that_not_everybody_may_read_is_refused(mirrored: Mirrored, tmp_path: Path) -> None:
    """Pages and nginx ask nobody: a plugin that limits reading would be ignored without a word."""
    package = tmp_path / "private_reads.py"
    package.write_text(
        "from pluggy import HookimplMarker\n"
        "@HookimplMarker('devpiserver')\n"
        "def devpiserver_stage_get_principals_for_pkg_read(ixconfig):\n    return {'company'}\n"
    )
    info = tmp_path / "private_reads-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: private-reads\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[devpi_server]\nprivate = private_reads\n")
    folder = Folder(mirrored.mirror.home)
    found = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    code = f"{found}; from devpi_server.main import main; sys.exit(main())"
    data = ("--serverdir", f"{folder.server}", "--secretfile", f"{folder.secret}", *command.CHEAP_KEY)
    done = mirrored.mirror.run("python", "-c", code, *data, "--port", "1", status=1)
    assert "pkg_read" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "path",
    ["/root/pypi/+simple/broken/", "/+nothing", "/root/pypi/+simple/a%00b/", "/a/b/+f/x.html", "/+api"],
)
def test_no_browser_guesses_what_an_answer_is(mirrored: Mirrored, path: str) -> None:
    """Errors of upstreams had no Content-Type, and repeat what an upstream sent."""
    mirrored.upstream.fail("/simple/broken/", faults.status(500))
    answer = requests.get(f"{mirrored.mirror.url}{path}", timeout=30)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"]
    with socket.create_connection(
        ("127.0.0.1", int(mirrored.mirror.url.rpartition(":")[2])), timeout=30
    ) as raw:
        raw.sendall(b"<script>\r\n\r\n")
        refused = raw.recv(10_000).decode()
    assert "nosniff" in refused
    assert "Content-Type: text/plain" in refused


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/+login", "[1]"),
        ("POST", "/+login", '"text"'),
        ("POST", "/+login", '{"user": 1, "password": ["x"]}'),
        ("POST", "/+login", "{}"),
        ("POST", "/company/dev", "[]"),
        ("POST", "/company/dev", "{}"),
        ("POST", "/company/dev", '{"name": "own", "version": 1}'),
        ("POST", "/company/dev", '{"name": "own", "version": "1.0"}'),
        ("POST", "/company/dev/", '{"name": "own", "version": "1.0", "targetindex": ["a"]}'),
        (
            "POST",
            "/company/dev",
            '{"name": "own", "version": "1", "posturl": "file:///etc/x", "username": "", "password": ""}',
        ),
        ("POST", "/+login", '{"user": "a", "password": "b", "posturl": 1}'),
        ("POST", "/+login", '{"user": "\\ud800", "password": "\\ud800"}'),
        ("POST", "/company/dev", '{"name": "own", "version": "1", "targetindex": "a/b", "posturl": [1]}'),
        ("PATCH", "/company", '{"password": 1}'),
        ("PATCH", "/company/dev", "[1]"),
        ("PATCH", "/company/dev", "7"),
        ("PUT", "/company/new", "[1]"),
        ("PUT", "/newcomer", "null"),
        ("PATCH", "/company", "[]"),
        pytest.param("POST", "/+login", "[" * 60_000, id="nested deeply"),
        pytest.param("PATCH", "/company", "[" * 60_000, id="nested deeply, with a login"),
        pytest.param("PUT", "/company/dev/own/1.0/+yank", "[" * 60_000, id="a reason nested deeply"),
    ],
)
def test_a_body_of_another_form_is_refused(mirrored: Mirrored, method: str, path: str, body: str) -> None:
    """Each was a traceback in the log, +login for anybody."""
    login = None if path == "/+login" else ("root", mirrored.mirror.credentials["root"])
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    url = f"{mirrored.mirror.url}{path}"
    answer = requests.request(method, url, data=body, auth=login, headers=headers, timeout=30)
    assert answer.status_code == 400, answer.text


def test_a_body_in_a_charset_that_nobody_knows_is_refused(mirrored: Mirrored) -> None:
    """It was a traceback, too."""
    headers = {"Content-Type": "application/json; charset=nonsense", "Accept": "application/json"}
    url, body = f"{mirrored.mirror.url}/+login", '{"user": "a", "password": "b"}'
    answer = requests.post(url, data=body, headers=headers, timeout=30)
    assert answer.status_code == 400, answer.text

"""Protected indexes: who may read them, and what others see. Without nginx; test_readers_front.py has it."""

import itertools
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.support import protected
from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import mirror_of
from tests.support.protected import Protected, mirror
from tests.support.servers import BIN, free_port, wait_until
from tests.support.upstream import JSON, Upstream

API = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Protected]:
    """company/prod is for anna; company/dev inherits from it; company/open is for all."""
    with Upstream() as upstream, mirror_of(upstream, protected.SETTINGS) as mirrored:
        yield protected.prepare(mirrored)


def status(url: str, login: tuple[str, str] | None = None, method: str = "GET") -> int:
    answer = requests.request(
        method, url, auth=login, headers={"Accept": JSON}, timeout=30, allow_redirects=False
    )
    assert not ("secretlib" in answer.text and answer.status_code in {401, 403} and "secretlib" not in url)
    return answer.status_code


@pytest.mark.parametrize("index", ["company/prod", "company/dev"])
@pytest.mark.parametrize("path", protected.ADDRESSES)
def test_each_address_of_a_protected_index_needs_a_reader(guarded: Protected, index: str, path: str) -> None:
    """Also on an index that inherits from it, and whether there is such a project or not."""
    url = f"{guarded.url}/{index}{path.format(file=guarded.path, none='+f/123/0123456789abc/none-1.0.whl')}"
    answer = requests.get(url, headers=API, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, 'Basic realm="pypi"'), (
        answer.text
    )
    assert status(url, guarded.bert) == 403
    assert status(url, ("anna", "wrong password")) == 401
    assert status(url, guarded.anna) not in {401, 403}


def test_the_files_of_a_base_are_protected_where_pages_lead_to_them(guarded: Protected) -> None:
    """A page of company/dev names addresses on company/prod."""
    for path in (guarded.path, f"{guarded.path}.metadata", f"{guarded.path}.provenance"):
        url = f"{guarded.url}/company/prod/{path}"
        assert [status(url), status(url, guarded.bert)] == [401, 403]
    found = requests.get(f"{guarded.url}/company/prod/{guarded.path}", auth=guarded.anna, timeout=30)
    assert found.content == guarded.dist.content
    assert "public" not in found.headers["Cache-Control"]
    assert "private" in found.headers["Cache-Control"]


def test_what_is_for_everybody_stays_so(guarded: Protected) -> None:
    """Pages and files of an upstream, and of an index without readers; a wrong login is no matter there."""
    for login in (None, guarded.bert, ("anna", "wrong password")):
        assert status(f"{guarded.url}/root/pypi/+simple/upstreamlib/", login) == 200
        assert status(f"{guarded.url}/company/open/+simple/upstreamlib/", login) == 200
    page = requests.get(f"{guarded.url}/company/open/+simple/upstreamlib/", timeout=30)
    assert page.headers["Cache-Control"] == "no-cache"


def test_nobody_but_a_reader_writes_or_pushes_from_there(guarded: Protected) -> None:
    """A push would copy what one may not read; an answer to a write tells what is there."""
    url = f"{guarded.url}/company/dev"
    body = {"name": "secretlib", "version": "1.0", "targetindex": "company/open"}
    for method, path in (
        ("POST", ""),
        ("POST", "/"),
        ("PUSH", ""),
        ("DELETE", "/secretlib"),
        ("OPTIONS", "/"),
    ):
        for login, expected in ((None, 401), (guarded.bert, 403)):
            answer = requests.request(method, f"{url}{path}", json=body, auth=login, headers=API, timeout=30)
            assert answer.status_code == expected, (method, path, answer.text)


def test_a_token_reads_what_it_is_for_until_it_ends(guarded: Protected) -> None:
    """With files of bases; tokens of another index, for deleting alone, or of one project read nothing."""
    page, file = f"{guarded.url}/company/dev/+simple/secretlib/", f"{guarded.url}/company/prod/{guarded.path}"
    made = json.loads(
        mirror(
            guarded, "token", "create", "--index", "company/dev", "--may", "read", "--user", "anna", "--json"
        )
    )
    token = ("__token__", made["token"])
    assert [status(page, token), status(file, token)] == [200, 200]
    form = {":action": "file_upload", "name": "secretlib", "version": "2.0", "metadata_version": "2.1"}
    content = {"content": (wheel("secretlib", "2.0").filename, wheel("secretlib", "2.0").content)}
    sent = requests.post(f"{guarded.url}/company/dev/", data=form, files=content, auth=token, timeout=30)
    assert sent.status_code == 403, sent.text
    other = ("--index", "company/open", "--user", "company")
    elsewhere = ("__token__", mirror(guarded, "token", "create", *other).strip())
    assert [status(page, elsewhere), status(file, elsewhere)] == [403, 403]
    of_project = (
        "__token__",
        mirror(guarded, "token", "create", "--index", "company/dev", "--project", "secretlib").strip(),
    )
    projects = f"{guarded.url}/company/dev/+simple/"
    assert [status(address, of_project) for address in (page, file, projects)] == [403, 403, 403]
    altered = ("__token__", f"{made['token'][:-4]}AAAA")
    assert [status(page, altered), status(file, altered)] == [403, 403]
    mirror(guarded, "token", "revoke", made["id"])
    assert [status(page, token), status(file, token)] == [403, 403]
    refused = guarded.mirror.run(
        BIN / "mirror",
        *("token", "create", "--index", "company/dev", "--may", "read", "--user", "bert"),
        status=1,
    )
    assert "bert may not read company/prod" in refused.stderr


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/company", "/company/", "/+api", "/company/+api", "/+status", "/+metrics", "/+readers"),
        *("/+changelog/0", "/+changelog/0-", "/+policies", "/+publishers", "/+reserved", "/+advisories"),
        *("/+changed-files", "/+cached-files?limit=0", "/+damaged-files", "/+stored-files"),
    ],
)
def test_no_address_of_the_whole_server_names_what_is_protected(guarded: Protected, path: str) -> None:
    """Projects and their files; that there is an index, who is logged in may know. Not even the log of
    changes, by which replicas get all there is, with the header that they send.
    """
    replica = {"X-DEVPI-EXPECTED-PRIMARY-ID": "", "X-DEVPI-REPLICA-UUID": "1"}
    for login, accept in itertools.product((None, guarded.bert), ("application/json", "text/html")):
        answer = requests.get(
            f"{guarded.url}{path}", auth=login, headers={"Accept": accept, **replica}, timeout=30
        )
        assert "secretlib" not in answer.text
        assert guarded.dist.sha256 not in answer.text
        assert answer.status_code == 403 or "changelog" not in path


def test_the_list_of_readers_is_for_root(guarded: Protected) -> None:
    """It is what protects: nobody else may see or change it, and a broken one is not taken."""
    url, root = f"{guarded.url}/+readers", ("root", guarded.mirror.credentials["root"])
    for method in ("GET", "PUT"):
        for login, expected in ((None, 401), (guarded.anna, 403)):
            assert (
                requests.request(method, url, json={}, auth=login, headers=API, timeout=30).status_code
                == expected
            )
    unreadable: list[object] = [[], {"company/dev": "anna"}, {"company/dev": [1]}]
    for broken in unreadable:
        assert requests.put(url, json=broken, auth=root, headers=API, timeout=30).status_code == 400
    assert requests.get(url, auth=root, headers=API, timeout=30).json()["result"] == protected.READERS


@pytest.mark.parametrize("index", ["company/prod", "company/dev"])
def test_commands_of_the_mirrors_own_machine_read_protected_indexes(guarded: Protected, index: str) -> None:
    """As root: with pins, and with what uv resolves. Their output has no password."""
    home = guarded.mirror.home
    (home / "pinned.txt").write_text(f"secretlib==1.0 --hash=sha256:{guarded.dist.sha256}\n")
    (home / "wanted.txt").write_text("secretlib\n")

    def run(*arguments: str) -> str:
        done = guarded.mirror.run(BIN / "mirror", *arguments, "--index", index, cwd=home)
        assert guarded.mirror.credentials["root"] not in done.stdout + done.stderr
        return done.stdout

    assert "1 files" in run("prefetch", "pinned.txt")
    assert "2 files" in run("prefetch", "wanted.txt")
    assert "2 files" in run("verify", "wanted.txt")
    assert "2 files" in run("bundle", "create", "wanted.txt", "-o", f"bundle-{index[8:]}")
    assert "2 projects in use" in run("refresh", "--report", "pinned.txt")


def test_a_change_of_an_index_does_not_open_it(guarded: Protected) -> None:
    """The devpi client sends all settings of an index; those of its readers are not among them."""
    guarded.mirrored.change_index("company/prod", title="own")
    assert status(f"{guarded.url}/company/prod/+simple/secretlib/") == 401


def test_protection_comes_and_goes_with_mirror_init() -> None:
    """At once: `mirror init` returns when neither page nor file is for everybody any more."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        dist = wheel("secretlib", "1.0")
        (mirrored.mirror.home / dist.filename).write_bytes(dist.content)
        mirrored.upload(mirrored.mirror.home / dist.filename)
        page, file = (
            f"{mirrored.mirror.index_url('company/dev')}secretlib/",
            mirrored.url_of(dist, "company/dev"),
        )
        assert [status(page), status(file)] == [200, 200]
        pages = mirrored.mirror.home / "mirror" / "server" / "+pages"
        assert list((pages / "fresh").rglob("dev.*"))
        settings = mirrored.mirror.home / "mirror.toml"
        before = settings.read_text()
        settings.write_text(f'{before}\n[indexes."company/prod"]\nread = []\n')
        mirrored.mirror.run(BIN / "mirror", "init", cwd=mirrored.mirror.home)
        assert not list((pages / "fresh").rglob("*.gz"))
        assert not (pages / "open").exists()
        assert [status(page), status(file)] == [401, 401]
        company = ("company", mirrored.mirror.credentials["company"])
        assert [status(page, company), status(file, company)] == [200, 200]
        assert not list((pages / "fresh").rglob("*.gz"))
        assert list((pages / "granted").rglob("dev.*"))
        settings.write_text(before)
        mirrored.mirror.run(BIN / "mirror", "init", cwd=mirrored.mirror.home)
        assert [status(page), status(file)] == [200, 200]


def test_a_replica_protects_what_its_primary_does() -> None:
    """It has the readers with the database; it gets files as what it is, not as its client."""
    with Upstream() as upstream, mirror_of(upstream, protected.SETTINGS) as mirrored:
        made: Protected = protected.prepare(mirrored)
        primary_port = urlsplit(mirrored.mirror.url).port or 0
        mirrored.mirror.run(BIN / "mirror", "stop")
        folder = mirrored.mirror.home / "replica"
        role = ("--role", "replica", "--primary-url", mirrored.mirror.url)
        init_devpi(mirrored.mirror, folder, *role)
        primary = mirrored.mirror.home / "mirror" / "server"
        with (
            running_devpi(mirrored.mirror, primary, primary_port, "--role", "primary"),
            running_devpi(mirrored.mirror, folder, free_port(), *role) as replica,
        ):
            page = f"{replica}/company/dev/+simple/secretlib/"
            wait_until("the index is replicated", lambda: status(page, made.anna) == 200)
            file = f"{replica}/company/prod/{made.path}"
            assert requests.get(file, auth=made.anna, timeout=30).content == made.dist.content
            for url in (page, file):
                assert [status(url), status(url, made.bert)] == [401, 403]
            granted = f"{replica}/+granted/company/dev"
            assert [status(granted), status(granted, made.bert), status(granted, made.anna)] == [
                401,
                403,
                200,
            ]
            asked = requests.post(f"{replica}/company/dev/+read-token", auth=made.anna, timeout=30)
            assert [status(url, ("__token__", asked.json()["token"])) for url in (page, file)] == [200, 200]

"""Static files of an application, which nginx serves on two hosts: caching, deploys, links to other files."""

import gzip
import http.client
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from release.config.static import Static, literal
from tests.support import documents, hosts, ssh_target
from tests.support.hosts import Host
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

DOMAIN = "shop.example.com"
TOML, _ = [block.text for block in documents.blocks("static.md") if block.filename == "release.toml"]
STATIC = Static(**tomllib.loads(TOML)["static"])
OLD, NEW = "css/app.0123abcd.css", "css/app.89efcdab.css"
SCRIPT = b"let page = 1;" * 100
PACKED = gzip.compress(SCRIPT, 9, mtime=1)
FOR_EVER, FOR_A_MINUTE = "public, max-age=31536000, immutable", "public, max-age=60"


@dataclass
class Answer:
    """What nginx has answered."""

    status: int
    body: bytes
    headers: dict[str, str]


def get(host: Host, path: str, **headers: str) -> Answer:
    """The answer of nginx on `host`; the path is sent as it is."""
    with closing(http.client.HTTPConnection(host.address, timeout=20)) as connection:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Host": DOMAIN, **sent})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, answer.read(), found)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Version 1.0.0 is deployed."""
    shared = {"app.js": SCRIPT, "app.js.gz": PACKED, "module.mjs": b"export {};"}
    with ssh_target.running("web1", "web2") as made:
        for version, hashed, fault in (("1.0.0", OLD, ""), ("2.0.0", NEW, "slow")):
            own = {hashed: b"a { }", "logo.svg": f"<svg>{version}</svg>".encode()}
            made.served.add(NAME, app_wheel(version, fault, static={**shared, **own}))
        patterns = {"url": literal(STATIC.url), "hashed": STATIC.hashed_pattern}
        for host in made.hosts:
            ssh_target.front(host, NAME, DOMAIN, packhorse_application_static=patterns)
        made.configure(TOML)
        made.deploy("1.0.0")
        yield made


def test_a_name_with_a_hash_is_cached_for_ever(servers: Servers) -> None:
    """And any other for a minute: the next deploy may bring another file."""
    first, second = (get(host, f"/static/{OLD}") for host in servers.hosts)
    assert (first.status, first.body) == (200, b"a { }")
    assert first.headers["cache-control"] == FOR_EVER
    assert first.headers["content-type"] == "text/css; charset=utf-8"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["etag"] == second.headers["etag"], "a client may ask any host"
    logo = get(servers.hosts[0], "/static/logo.svg")
    assert logo.headers["cache-control"] == FOR_A_MINUTE
    assert logo.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert get(servers.hosts[0], "/static/logo.svg", If_None_Match=logo.headers["etag"]).status == 304


def test_a_compressed_file_beside_it_is_sent_to_who_takes_it(servers: Servers) -> None:
    """It was made when the application was packed, as small as can be."""
    packed = get(servers.hosts[0], "/static/app.js", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.body == PACKED
    plain = get(servers.hosts[0], "/static/app.js")
    assert (plain.body, plain.headers["content-type"]) == (SCRIPT, "text/javascript; charset=utf-8")
    assert get(servers.hosts[0], "/static/module.mjs").headers["content-type"].startswith("text/javascript")


def test_what_is_no_static_file_is_for_the_application(servers: Servers) -> None:
    """It may make some of them itself, and knows what its page for a wrong address looks like."""
    for path in ("/static/", "/static/css", "/static/css/", "/static/none.css", "/static", "/"):
        answer = get(servers.hosts[0], path)
        assert (path, answer.status, answer.body) == (path, 200, b"1.0.0")
        assert "cache-control" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../../etc/hostname",
        "/static/%2e%2e/%2e%2e/%2e%2e/manifest.json",
        "/static/%252e%252e/manifest.json",
        "/static/..%2fmanifest.json",
        "/static/..%5cmanifest.json",
        "/static//etc/hostname",
        "/static/%00/../manifest.json",
        "/static../manifest.json",
        "/static/link/hostname",
        "/static/hostname",
        "/static/other.txt",
        "/static/secret.txt",
    ],
)
def test_nothing_outside_of_the_folder_is_served(servers: Servers, path: str) -> None:
    """Neither by what a client writes nor by links that the user that deploys has put there."""
    web1 = servers.hosts[0]
    static = f"{LAYOUT.folder}/current/static"
    for target in ("/etc/hostname", "/srv/other.txt"):
        web1.ssh("ln", "-sfn", target, f"{static}/{target.rpartition('/')[2]}", user=NAME)
    web1.ssh("ln", "-sfn", "/etc", f"{static}/link", user=NAME)
    (web1.files / "srv/other.txt").write_text("of another application")
    found = get(web1, path)
    assert found.status >= 400 or found.body == b"1.0.0", "the application has answered"


@pytest.mark.parametrize("place", ["current", "current/static", "static-files"])
def test_a_link_in_the_place_of_a_folder_leads_to_no_other_user(servers: Servers, place: str) -> None:
    """Who may deploy one application could read what nginx may, of others."""
    web1 = servers.hosts[0]
    (web1.files / "srv/other/static").mkdir(parents=True, exist_ok=True)
    for name in ("secret.txt", "static/secret.txt"):
        (web1.files / "srv/other" / name).write_text("of another application")
    path = f"{LAYOUT.folder}/{place}"
    web1.ssh("mv", "-T", path, f"{LAYOUT.folder}/aside", user=NAME)
    web1.ssh("ln", "-s", "/srv/other", path, user=NAME)
    try:
        assert get(web1, "/static/secret.txt").body == b"1.0.0"
    finally:
        web1.ssh("rm", path, user=NAME)
        web1.ssh("mv", "-T", f"{LAYOUT.folder}/aside", path, user=NAME)


def test_pages_of_both_releases_find_their_files_on_every_host(servers: Servers) -> None:
    """While a deploy goes from host to host, and after it; nginx is not reloaded."""
    web1, web2 = servers.hosts
    with servers.deploying("2.0.0", "switching to release") as process:
        assert get(web2, "/").body == b"1.0.0"
        for host in servers.hosts:
            for name in (OLD, NEW):
                found = get(host, f"/static/{name}")
                assert (found.body, found.headers["cache-control"]) == (b"a { }", FOR_EVER)
        process.communicate()
    assert servers.versions() == ["2.0.0", "2.0.0"]
    assert get(web1, f"/static/{OLD}").body == b"a { }"
    assert get(web1, "/static/logo.svg").body == b"<svg>2.0.0</svg>"
    servers.release("rollback", "production")
    assert get(web1, "/static/logo.svg").body == b"<svg>1.0.0</svg>"
    assert get(web2, f"/static/{NEW}").body == b"a { }"

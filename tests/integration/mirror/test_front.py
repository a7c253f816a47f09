"""nginx in front of a real mirror, with the configuration that `mirror front` writes."""

import http.client
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.servers import BIN, clean_environment, free_port, run_command
from tests.support.upstream import JSON, Upstream

pytestmark = pytest.mark.needs("nginx")


@pytest.fixture(scope="module")
def fronted(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    """A mirror, its upstream, and nginx on `port`."""
    with fronted_mirror(upstream, port) as mirrored:
        yield mirrored


def simple(port: int, index: str = "company/dev") -> str:
    return f"http://127.0.0.1:{port}/{index}/+simple/"


def page(port: int, project: str, accept: str = JSON) -> requests.Response:
    return requests.get(f"{simple(port)}{project}/", headers={"Accept": accept}, timeout=10)


@contextmanager
def stopped(mirrored: Mirrored) -> Iterator[None]:
    """Within the block devpi-server does not run."""
    home = mirrored.mirror.home
    mirrored.mirror.run(BIN / "mirror", "stop", cwd=home)
    try:
        yield
    finally:
        mirrored.mirror.run(BIN / "mirror", "serve", "--background", cwd=home)


def installs(mirrored: Mirrored, port: int, project: str) -> None:
    """pip and uv, without caches of their own, each into a fresh virtualenv."""
    home = mirrored.mirror.home
    venv = home / f"venv-{project}"
    mirrored.mirror.run(sys.executable, "-m", "venv", "--clear", venv)
    index = ("--index-url", simple(port))
    mirrored.mirror.run(venv / "bin" / "pip", "install", "--no-cache-dir", *index, project)
    mirrored.mirror.run(venv / "bin" / "pip", "uninstall", "--yes", project)
    options = ("--no-cache", "--python", venv / "bin" / "python")
    mirrored.mirror.run(BIN / "uv", "pip", "install", *options, *index, project)


def test_what_is_cached_is_installed_while_devpi_is_stopped(
    fronted: Mirrored, upstream: Upstream, port: int
) -> None:
    """A restart of devpi-server, or its crash, must not stop anybody's work."""
    outer, inner = new_name("outer"), new_name("inner")
    upstream.add(outer, wheel(outer, "1.0", requires=[inner]))
    upstream.add(inner, wheel(inner, "1.0"))
    installs(fronted, port, outer)
    with stopped(fronted), upstream.refusing():
        installs(fronted, port, outer)
        assert page(port, outer).status_code == 200
        plain = requests.get(
            f"{simple(port)}{outer}/", headers={"Accept": JSON, "Accept-Encoding": "identity"}, timeout=10
        )
        assert (plain.json()["name"], "Content-Encoding" in plain.headers) == (outer, False)
        missing = page(port, new_name("unknown"))
        base = f"http://127.0.0.1:{port}"
        others = ("/root/pypi/+f/abc/0123456789abc/a-1.0.zip", "/company/dev/+api", "/")
        answers = [requests.get(f"{base}{path}", timeout=10, allow_redirects=False) for path in others]
        answers += [missing, requests.post(f"{base}/company/dev/", data=b"x", timeout=10)]
        assert {(each.status_code, each.headers.get("Retry-After")) for each in answers} == {(503, "5")}


def test_an_expired_page_is_served_while_devpi_is_stopped(
    fronted: Mirrored, upstream: Upstream, port: int
) -> None:
    """It is what we know; an error helps nobody."""
    name = new_name("expired")
    upstream.add(name, wheel(name, "1.0"))
    assert page(port, name).status_code == 200
    pages = fronted.mirror.home / "mirror" / "server" / "+pages"
    with stopped(fronted):
        (pages / "stale" / name).mkdir(parents=True, exist_ok=True)
        (pages / "fresh" / name).rename(pages / "stale" / name / "moved")
        (pages / "stale" / name / "moved" / "company").rename(pages / "stale" / name / "company")
        answer = page(port, name)
        assert answer.json()["files"][0]["filename"] == f"{name}-1.0-py3-none-any.whl"
        assert answer.headers["X-Packhorse-Stale"] == "unknown"


def test_an_upload_is_on_the_very_next_page(fronted: Mirrored, port: int, tmp_path: Path) -> None:
    """Each client, each form: a page from disk must never be older than the last answered write."""
    name = new_name("written")
    for version in ("1.0", "1.1", "1.2"):
        dist = wheel(name, version)
        (tmp_path / dist.filename).write_bytes(dist.content)
        fronted.upload(tmp_path / dist.filename)
        for accept in (JSON, "text/html", "*/*"):
            for agent in ("uv/0.9", "pip/26"):
                answer = requests.get(
                    f"{simple(port)}{name}/", headers={"Accept": accept, "User-Agent": agent}, timeout=10
                )
                assert dist.filename in answer.text


@pytest.mark.usefixtures("fronted")
def test_pages_from_disk_are_revalidated_and_compressed(upstream: Upstream, port: int) -> None:
    """pip and uv ask each time whether their page still is the one."""
    name = new_name("again")
    upstream.add(name, wheel(name, "1.0"))
    first = page(port, name)
    again = page(port, name)
    assert again.headers["ETag"] == first.headers["ETag"]  # devpi's and nginx's are the same
    assert (again.headers["Content-Encoding"], again.headers["Content-Type"]) == ("gzip", JSON)
    assert {value.strip() for value in again.headers["Vary"].split(",")} == {"Accept", "Accept-Encoding"}
    validated = requests.get(
        again.url, headers={"Accept": JSON, "If-None-Match": again.headers["ETag"]}, timeout=10
    )
    assert validated.status_code == 304


def test_an_upload_of_more_than_64_mb_passes(fronted: Mirrored, port: int, tmp_path: Path) -> None:
    """devpi's own nginx configuration ends there."""
    dist = wheel(new_name("large"), "1.0", padding=70_000_000)
    (tmp_path / dist.filename).write_bytes(dist.content)
    login = ("--username", "company", "--password", fronted.mirror.credentials["company"])
    options = ("--non-interactive", "--disable-progress-bar", "--repository-url")
    fronted.mirror.run(
        BIN / "twine",
        "upload",
        *options,
        f"http://127.0.0.1:{port}/company/dev/",
        *login,
        tmp_path / dist.filename,
    )
    url = urljoin(simple(port) + "x/", page(port, dist.filename.partition("-")[0]).json()["files"][0]["url"])
    assert requests.head(url, timeout=10).headers["Content-Length"] == str(len(dist.content))
    assert requests.get(url, headers={"Range": "bytes=0-9"}, timeout=10).content == dist.content[:10]


def test_only_reading_is_answered_from_disk(fronted: Mirrored, upstream: Upstream, port: int) -> None:
    """`devpi test` posts its results to the URL of the file; nginx would answer 405."""
    dist = wheel(new_name("tested"), "1.0")
    upstream.add(dist.filename.partition("-")[0], dist)
    path = fronted.url_of(dist).removeprefix(fronted.mirror.url)
    requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).raise_for_status()
    posted = requests.post(f"http://127.0.0.1:{port}{path}", json={}, timeout=10)
    assert "nginx" not in posted.text


def test_letting_nginx_in_lets_nobody_at_the_passwords(fronted: Mirrored) -> None:
    """devpi's database holds their hashes, and it makes that file readable by all."""
    folder = fronted.mirror.home / "mirror"
    assert folder.stat().st_mode & 0o777 == 0o711
    for secret in ("server/.sqlite", "server/.nodeinfo", "credentials.json", "secret"):
        assert (folder / secret).stat().st_mode & 0o077 == 0, secret


PATHS = (
    "{}/",
    "{}",
    "{}/?format=text/html",
    "{}.X/",
    f"{'a' * 300}/",
    "%2E%2E/",
    "..%2F..%2Fx/",
    "%FF/",
    "_/",
)
FORMS: list[dict[str, str]] = [
    {"Accept": f"{JSON}, text/html; q=0.01", "Accept-Encoding": "gzip"},
    {"Accept": f"{JSON}, text/html;q=0", "Accept-Encoding": "gzip;q=0"},
    {"Accept": f"text/html, {JSON};q=0", "Accept-Encoding": "identity"},
    {"Accept": f"{JSON};q=0, */*", "Accept-Encoding": "*;q=0"},
    {"Accept": "text/html;q=0, */*;q=0.1", "Accept-Encoding": "gzip;q=0.5, identity;q=0"},
    {"Accept": "application/json", "Accept-Encoding": ""},
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_nginx_answers_as_devpi_does(fronted: Mirrored, port: int, path: str, method: str) -> None:
    """What is answered from disk follows the same rules; what is not has the address of nginx in it."""
    name = new_name("alike")
    fronted.upstream.add(name, wheel(name, "1.0"))
    page(port, name)
    for headers in FORMS:
        answers = [
            _said(f"{simple(at)}{path.format(name)}", method, headers)
            for at in (port, urlsplit(fronted.mirror.url).port or 0)
        ]
        assert answers[0] == answers[1], headers


def _said(url: str, method: str, headers: dict[str, str]) -> tuple[object, ...]:
    """What an answer consists of, wherever it comes from."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status >= 400:  # an error page may be anybody's
        return (answer.status,)
    # nginx does not know the length of what it decompresses.
    compared = ["Content-Type", "Content-Encoding", "ETag"]
    compared += ["Content-Length"] if answer.getheader("Content-Encoding") else []
    kept = [answer.getheader(key) for key in compared]
    where = (answer.getheader("Location") or "").replace(parts.netloc, "")
    return (answer.status, *kept, where, b"" if where else body)


def test_a_certificate_makes_it_https_in_every_address(tmp_path: Path) -> None:
    """devpi-server, which is asked by plain HTTP, must not send clients there."""
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    made = (
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=mirror",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    )
    options = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run_command("openssl", "req", *options, *made, env=clean_environment(tmp_path))
    tls = f'front.tls_certificate = "{certificate}"\nfront.tls_key = "{key}"\n'
    with Upstream() as upstream, fronted_mirror(upstream, port, tls):
        upstream.add("secured", wheel("secured", "1.0"))
        url = f"https://127.0.0.1:{port}/company/dev/+simple/secured"
        moved = requests.get(url, verify=str(certificate), allow_redirects=False, timeout=10)
        assert moved.headers["Location"] == f"{url}/"
        assert requests.get(f"{url}/", verify=str(certificate), timeout=10).ok
        known = requests.get(
            f"https://127.0.0.1:{port}/company/dev/+api", verify=str(certificate), timeout=10
        )
        assert known.json()["result"]["pypisubmit"] == f"https://127.0.0.1:{port}/company/dev/"

"""nginx in front of a real mirror, with the configuration that `mirror front` writes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests import debian
from tests.integration.dists import wheel
from tests.integration.helpers import BIN, free_port, wait_until
from tests.integration.mirrored import Mirrored, mirror_of, new_name
from tests.integration.upstream import JSON, Upstream

pytestmark = pytest.mark.needs("nginx")


@contextmanager
def nginx(mirrored: Mirrored) -> Iterator[None]:
    """A real nginx that includes the file which `mirror front` wrote."""
    home = mirrored.mirror.home
    home.chmod(0o711)  # as `mirror front` advises: tempfile made it for us alone
    mirrored.mirror.run(BIN / "mirror", "front", cwd=home)
    main = home / "main.conf"
    main.write_text(
        f"daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\nevents {{ }}\n"
        f"http {{ access_log off; include {home}/mirror/nginx.conf; }}\n"
    )
    program = debian.which("nginx")
    assert program
    running = subprocess.Popen([program, "-c", str(main)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def fronted(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    """A mirror, its upstream, and nginx on `port`."""
    with (
        mirror_of(upstream, f'request_timeout = 2\nfront.listen = "127.0.0.1:{port}"\n') as mirrored,
        nginx(mirrored),
    ):
        wait_until("nginx", lambda: answers(f"http://127.0.0.1:{port}/+api"))
        yield mirrored


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False


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
        missing = page(port, new_name("unknown"))
        assert (missing.status_code, missing.headers["Retry-After"]) == (503, "5")


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

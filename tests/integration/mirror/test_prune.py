"""Remove unused cached files from a real mirror behind nginx, while clients go on to use it."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from mirror import state
from mirror.plugin.files import last_use
from tests.support.dists import Dist, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted
from tests.support.servers import BIN, free_port, wait_until
from tests.support.upstream import Listed, Upstream

pytestmark = pytest.mark.needs("nginx")
DAY = 86_400


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def mirrored(port: int) -> Iterator[Mirrored]:
    with Upstream() as upstream, fronted(upstream, port) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(mirrored: Mirrored) -> Iterator[None]:
    yield
    prune(mirrored, "--max-size", "0", "--yes")


def prune(mirrored: Mirrored, *options: str) -> Any:  # noqa: ANN401 (JSON)
    """The JSON of `mirror prune`."""
    return json.loads(mirrored.mirror.run(BIN / "mirror", "prune", "--json", *options).stdout)


def names(paths: list[str]) -> list[str]:
    return [path.rpartition("/")[2] for path in paths]


def server_folder(mirrored: Mirrored) -> Path:
    return mirrored.mirror.home / "mirror" / "server"


def stored(mirrored: Mirrored, dist: Dist) -> Path:
    """Where devpi keeps a file of the mirror."""
    part = dist.sha256
    return server_folder(mirrored) / "+files/root/pypi/+f" / part[:3] / part[3:16] / dist.filename


def make_unused(mirrored: Mirrored, *dists: Dist, days: float = 100) -> None:
    """Let files look as if nobody had read them for so long."""
    then = time.time() - days * DAY
    for dist in dists:
        os.utime(stored(mirrored, dist), (then, then))


def download(url: str) -> bytes:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:200]}"
    return answer.content


def by_nginx(url: str, port: int) -> str:
    return f"http://127.0.0.1:{port}{urlsplit(url).path}"


def test_what_nobody_uses_goes_with_its_metadata_and_comes_back(mirrored: Mirrored, port: int) -> None:
    """A download is a use, whether devpi-server or nginx answers it; a question for its size is none."""
    name = new_name("prune")
    unused, used, sent = (wheel(name, version, padding=50_000) for version in ("1.0", "2.0", "3.0"))
    urls = mirrored.publish(unused, used, sent)
    for url in (*urls, f"{urls[0]}.metadata"):
        download(url)
    make_unused(mirrored, unused, used, sent)
    of_files = [hashlib.sha256(dist.filename.encode()).hexdigest() for dist in (unused, used)]
    folder = server_folder(mirrored) / "+provenance/root%2Fpypi"
    folder.mkdir(parents=True, exist_ok=True)
    proofs = [folder / f"{dist.sha256}.{name}" for dist, name in zip((unused, used), of_files, strict=True)]
    for proof in proofs:
        proof.write_text("{}")
    requests.head(urls[0], timeout=30)
    download(urls[1])
    download(by_nginx(urls[2], port))
    shown = prune(mirrored, "--unused-for", "90d", "--dry-run")
    assert names([file["path"] for file in shown["chosen"]]) == [unused.filename]
    assert (shown["freed_bytes"], stored(mirrored, unused).exists()) == (len(unused.content), True)
    assert names(prune(mirrored, "--unused-for", "90d")["removed"]) == [unused.filename]
    assert not stored(mirrored, unused).parent.exists()
    assert not list((server_folder(mirrored) / "+metadata").rglob(f"*{unused.sha256[3:16]}*"))
    assert [proof.exists() for proof in proofs] == [False, True]
    mirrored.upstream.forget()
    assert download(by_nginx(urls[0], port)) == unused.content
    assert download(f"{urls[0]}.metadata") == unused.metadata
    assert mirrored.upstream.count(mirrored.upstream.file_path(unused)) == 1


def test_newest_versions_locked_ones_and_uploads_stay(mirrored: Mirrored, tmp_path: Path) -> None:
    name, own = new_name("prune"), new_name("own")
    dists = [wheel(name, version) for version in ("1.0", "2.0", "10.0", "11.0b1")]
    for url in mirrored.publish(*dists):
        download(url)
    upload = wheel(own, "1.0")
    (tmp_path / upload.filename).write_bytes(upload.content)
    mirrored.upload(tmp_path / upload.filename)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"{name}==1.0.0\n")
    done = prune(mirrored, "--keep-last", "1", "--keep", str(lock))
    assert sorted(names(done["removed"])) == sorted([dists[1].filename, dists[3].filename])
    prune(mirrored, "--max-size", "0")
    assert download(mirrored.url_of(upload, "company/dev")) == upload.content


@pytest.mark.parametrize(
    "path",
    ["root/pypi/+f/../../../../../secret", "root/pypi/+e/../.sqlite", "company/dev/+f/{hash}", "/etc/passwd"],
)
def test_nothing_but_a_cached_file_is_removed(mirrored: Mirrored, tmp_path: Path, path: str) -> None:
    upload = wheel(new_name("own"), "1.0")
    (tmp_path / upload.filename).write_bytes(upload.content)
    mirrored.upload(tmp_path / upload.filename)
    url = mirrored.url_of(upload, "company/dev")
    asked = {path.format(hash=url.partition("/+f/")[2]): time.time() + DAY}
    login = ("root", mirrored.mirror.credentials["root"])
    for auth, status in (
        (None, 401),
        (("company", mirrored.mirror.credentials["company"]), 403),
        (login, 200),
    ):
        answer = requests.post(f"{mirrored.mirror.url}/+cached-files", json=asked, auth=auth, timeout=30)
        assert answer.status_code == status
    assert answer.json()["result"] == []
    assert download(url) == upload.content
    assert (mirrored.mirror.home / "mirror" / "secret").exists()


@pytest.mark.needs_root
@pytest.mark.parametrize(("option", "kept"), [("relatime", True), ("noatime", False)])
def test_a_disk_that_does_not_note_reads_is_found(tmp_path: Path, option: str, *, kept: bool) -> None:
    """By trying: containers and network file systems do not tell."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,{option}", "tmpfs", tmp_path], check=True)  # noqa: S607
    try:
        assert last_use.is_kept(tmp_path) is kept
    finally:
        subprocess.run(["umount", tmp_path], check=True)  # noqa: S607


def test_what_the_upstream_lists_no_more_stays_unless_that_is_wanted(mirrored: Mirrored) -> None:
    """Nobody could bring it back; the mirror knows its URL and its hash all the same."""
    name = new_name("prune")
    withdrawn, listed = wheel(name, "1.0"), wheel(name, "2.0")
    urls = mirrored.publish(withdrawn, listed)
    for url in urls:
        download(url)
    mirrored.upstream.projects[name].files.pop(0)
    mirrored.upstream.add(name, wheel(name, "3.0"), wheel(name, "4.0"))  # its serial rises
    mirrored.refresh(name)
    assert withdrawn.filename not in [file["filename"] for file in mirrored.page(name)["files"]]
    done = prune(mirrored, "--max-size", "0")
    assert (names(done["removed"]), names([each["path"] for each in done["spared"]])) == (
        [listed.filename],
        [withdrawn.filename],
    )
    assert names(prune(mirrored, "--max-size", "0", "--yes")["removed"]) == [withdrawn.filename]
    mirrored.upstream.projects[f"{name}-elsewhere"] = mirrored.upstream.projects.pop(name)
    mirrored.upstream.add(f"{name}-elsewhere", withdrawn)
    assert download(urls[0]) == withdrawn.content


def test_nothing_goes_while_its_upstream_does_not_answer(mirrored: Mirrored) -> None:
    """Who frees a disk while the network is down would be left without packages."""
    dist = wheel(new_name("prune"), "1.0")
    download(*mirrored.publish(dist))
    with mirrored.upstream.refusing():
        shown = prune(mirrored, "--max-size", "0", "--dry-run")
        assert (shown["chosen"], names([file["path"] for file in shown["spared"]])) == ([], [dist.filename])
        refused = mirrored.mirror.run(BIN / "mirror", "prune", "--max-size", "0", status=1)
        assert "does not answer" in refused.stderr
        assert stored(mirrored, dist).exists()
        assert names(prune(mirrored, "--max-size", "0", "--yes")["removed"]) == [dist.filename]


def test_a_file_without_a_hash_comes_back_only_as_it_was(mirrored: Mirrored) -> None:
    """devpi keeps it below +e, and no page would tell what it was."""
    dist = sdist(new_name("prune"), "1.0")
    (url,) = mirrored.publish(Listed(dist, hashes={}))
    download(url)
    assert names(prune(mirrored, "--max-size", "0")["removed"]) == [dist.filename]
    assert download(url) == dist.content
    prune(mirrored, "--max-size", "0")
    other = sdist(dist.filename.partition("-")[0], "1.0", requires=["another"])
    mirrored.upstream.projects[dist.filename.partition("-")[0]].files = [Listed(other, hashes={})]
    assert requests.get(url, timeout=30).status_code == 502


def test_clients_notice_nothing_of_two_prunes_that_remove_all_again_and_again(
    mirrored: Mirrored, port: int
) -> None:
    """Files vanish between nginx's look for them and its open, and while they are sent."""
    dists = [wheel(new_name("prune"), "1.0", padding=200_000) for _ in range(8)]
    urls = [url for dist in dists for url in mirrored.publish(dist)]
    wanted = dict(zip(urls, dists, strict=True))
    over = threading.Event()

    def install(number: int) -> int:
        count = 0
        for url in itertools.islice(itertools.cycle(urls), number, None):
            if over.is_set():
                return count
            shown = by_nginx(url, port) if count % 2 else url
            assert download(shown) == wanted[url].content
            assert download(f"{shown}.metadata") == wanted[url].metadata
            count += 1
        return count

    def removed() -> int:
        return sum(len(prune(mirrored, "--max-size", "0")["removed"]) for _ in range(3))

    with ThreadPoolExecutor(10) as pool:
        clients = [pool.submit(install, number) for number in range(8)]
        prunes = [pool.submit(removed) for _ in range(2)]
        try:
            assert sum(each.result() for each in prunes) > len(dists)
        finally:
            over.set()
        assert all(client.result() for client in clients)


def test_a_kill_in_the_middle_loses_nothing(mirrored: Mirrored) -> None:
    dists = [wheel(new_name("prune"), "1.0", padding=20_000) for _ in range(105)]
    urls = [url for dist in dists for url in mirrored.publish(dist)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(download, urls))
    paths, until = [stored(mirrored, dist) for dist in dists], time.monotonic() + 60
    folder = state.Folder(mirrored.mirror.home)
    pid = json.loads(folder.serving.read_text())["pid"]
    with ThreadPoolExecutor(1) as pool:
        command = (BIN / "mirror", "prune", "--max-size", "0")
        pruning = pool.submit(mirrored.mirror.run, *command, status=None)
        while all(path.exists() for path in paths):  # without a pause: five more pieces take a moment
            assert time.monotonic() < until
        os.kill(pid, signal.SIGKILL)
        assert pruning.result().returncode == 1
    wait_until("the server is dead", lambda: not state.held(folder.lock))
    left = [dist for dist in dists if stored(mirrored, dist).exists()]
    mirrored.restart()
    assert [download(url) for url in urls] == [dist.content for dist in dists]
    assert len(left) < len(prune(mirrored, "--max-size", "0")["removed"]) == len(dists)


def test_a_limit_holds_by_itself_and_not_offline(mirrored: Mirrored) -> None:
    """With a mark where it begins, and one where it ends."""
    settings = mirrored.mirror.home / "mirror.toml"
    before = settings.read_text()
    dists = [wheel(new_name("prune"), "1.0", padding=100_000) for _ in range(12)]
    urls = [url for dist in dists for url in mirrored.publish(dist)]
    settings.write_text(f'{before}[prune]\nmax_size = "600k"\n')
    try:
        mirrored.restart()
        for number, (url, dist) in enumerate(zip(urls, dists, strict=True)):
            assert download(url) == dist.content
            make_unused(mirrored, dist, days=100 - number)
            wait_until("the limit holds", lambda: size(mirrored, dists) < 600_000)
        assert stored(mirrored, dists[-1]).exists()
        assert not stored(mirrored, dists[0]).exists()
        mirrored.restart("--offline")
        command = (BIN / "mirror", "prune", "--max-size", "250k")
        assert "offline" in mirrored.mirror.run(*command, status=1).stderr
        assert size(mirrored, dists) > 250_000
        mirrored.mirror.run(*command, "--yes")
        assert 0 < size(mirrored, dists) <= 250_000
        assert [file["filename"] for file in mirrored.page(project_of(dists[-1]))["files"]]
    finally:
        settings.write_text(before)
        mirrored.restart()


def size(mirrored: Mirrored, dists: list[Dist]) -> int:
    return sum(len(dist.content) for dist in dists if stored(mirrored, dist).exists())


def project_of(dist: Dist) -> str:
    return dist.filename.partition("-")[0]

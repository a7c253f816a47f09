"""kill -9 of the server in the middle of downloads, uploads and pages: nothing wrong, nothing lost."""

import hashlib
import itertools
import json
import os
import random
import re
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from urllib.parse import urljoin

import requests

from mirror import state
from tests.support import faults
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import wait_until
from tests.support.upstream import HTML, JSON, Upstream

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
SIZE = 300_000  # bytes


def test_a_server_that_is_killed_in_the_middle_lies_about_nothing() -> None:
    """A power cut or the out-of-memory killer comes at any line."""
    chance = random.Random(9)  # noqa: S311  # the same moments at each run, more or less
    received: list[Dist] = []
    on_page: list[str] = []
    uploaded: list[Dist] = []
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        for number in range(ROUNDS):
            dists = [wheel(f"killed{number}-{n}", "1.0", padding=SIZE) for n in range(4)]
            urls = [mirrored.publish(dist)[0] for dist in dists]
            upstream.fail("/files/*", faults.trickle(0.004))
            own = [wheel(f"own{number}-{n}", "1.0", padding=SIZE // 10) for n in range(4)]
            unread = [_project(upstream, f"unread{number}-{n}") for n in range(6)]
            with ThreadPoolExecutor(24) as pool:
                pages = [pool.submit(_names, mirrored, name, "root/pypi") for name in unread]
                busy = pool.submit(_upload_and_read, mirrored, number)
                downloads = [pool.submit(_download, url) for url in urls]
                metadata = [pool.submit(_download, f"{url}.metadata") for url in urls]
                uploads = [pool.submit(_upload, mirrored, dist) for dist in own]
                threading.Event().wait(chance.uniform(0.1, 2.5))
                _kill(mirrored)
            received += [d for d, done in zip(dists, downloads, strict=True) if _right(done, d.content)]
            assert all(
                _right(done, d.metadata) in {True, None} for d, done in zip(dists, metadata, strict=True)
            )
            uploaded += [d for d, done in zip(own, uploads, strict=True) if done.result()]
            on_page += busy.result()
            assert {len(done.result() or [1, 2, 3]) for done in pages} == {3}
            upstream.heal()
            mirrored.restart()
            assert {len(mirrored.page(name)["files"]) for name in unread} == {3}
            assert_whole(mirrored, on_page, f"busy-{number}.")
            upstream.forget()
            for dist in received:  # what a client has got whole was kept first
                assert requests.get(mirrored.url_of(dist), timeout=30).content == dist.content
            assert [seen for seen in upstream.requests if seen.path.startswith("/files/")] == []
            for dist in uploaded:
                assert requests.get(mirrored.url_of(dist, "company/dev"), timeout=30).content == dist.content
            for dist, url in zip(dists, urls, strict=True):
                assert requests.get(url, timeout=30).content == dist.content
                assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
            received += dists
            wait_until("no unfinished download lies around", partial(_is_empty, mirrored))
    assert uploaded
    assert on_page


def assert_whole(mirrored: Mirrored, acknowledged: list[str], newest: str) -> None:
    """Nothing acknowledged is missing on either form of the page, and nothing listed cannot be had."""
    if not acknowledged:
        return
    assert set(acknowledged) <= set(_names(mirrored, "busy", "company/dev") or [])
    page = f"{mirrored.mirror.index_url('company/dev')}busy/"
    assert set(acknowledged) <= set(re.findall(r"busy-[0-9.]+-py3-none-any\.whl(?=</a>)", _get(page, HTML)))
    for file in mirrored.page("busy", "company/dev")["files"]:
        if file["filename"].startswith(newest):
            content = requests.get(urljoin(page, file["url"]), timeout=30).content
            assert hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"]


def _upload_and_read(mirrored: Mirrored, number: int) -> list[str]:
    """Upload until the server is gone, and look for each on the next page; what was acknowledged."""
    names: list[str] = []
    for minor in itertools.count():
        dist = wheel("busy", f"{number}.{minor}")
        if not _upload(mirrored, dist):
            break
        names.append(dist.filename)
        shown = _names(mirrored, "busy", "company/dev")
        if shown is None:
            break
        assert dist.filename in shown
    return names


def _project(upstream: Upstream, name: str) -> str:
    """A project of three files that nobody has asked for."""
    upstream.add(name, *(wheel(name, f"{minor}.0") for minor in range(3)))
    return name


def _names(mirrored: Mirrored, project: str, index: str) -> list[str] | None:
    """The file names on a page; None when the server was gone, or said that it does not know yet."""
    try:
        answer = requests.get(
            f"{mirrored.mirror.index_url(index)}{project}/", headers={"Accept": JSON}, timeout=30
        )
        if answer.status_code == 503:
            return None
        return [file["filename"] for file in answer.json()["files"]]
    except requests.RequestException:
        return None


def _get(url: str, accept: str) -> str:
    return requests.get(url, headers={"Accept": accept}, timeout=30).text


def _download(url: str) -> bytes | None:
    """The whole body, None when it did not come to its end."""
    try:
        answer = requests.get(url, timeout=30)
    except requests.RequestException:
        return None
    return answer.content if answer.ok else None


def _right(done: "Future[bytes | None]", content: bytes) -> bool | None:
    """Whether what came is right; None when nothing came. Fails when it is wrong."""
    got = done.result()
    assert got in {None, content}
    return None if got is None else True


def _upload(mirrored: Mirrored, dist: Dist) -> bool:
    """Whether the server said that it has it."""
    name, version = dist.filename.split("-")[:2]
    fields = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": version}
    form = {**fields, "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": dist.sha256}
    try:
        answer = requests.post(
            f"{mirrored.mirror.url}/company/dev/",
            data=form,
            files={"content": (dist.filename, dist.content)},
            auth=("company", mirrored.mirror.credentials["company"]),
            timeout=30,
        )
    except requests.RequestException:
        return False
    return answer.status_code == 200


def _is_empty(mirrored: Mirrored) -> bool:
    return not list((mirrored.mirror.home / "mirror/server/+downloads").iterdir())


def _kill(mirrored: Mirrored) -> None:
    folder = state.Folder(mirrored.mirror.home)
    os.kill(json.loads(folder.serving.read_text())["pid"], signal.SIGKILL)
    wait_until("the server is dead", lambda: not state.held(folder.lock))

"""kill -9 of the server in the middle of downloads and uploads: nothing wrong, nothing lost."""

import json
import os
import random
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import requests

from mirror import state
from tests.integration import faults
from tests.integration.dists import Dist, wheel
from tests.integration.helpers import wait_until
from tests.integration.mirrored import Mirrored, mirror_of
from tests.integration.upstream import Upstream

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
SIZE = 300_000  # bytes


def test_a_server_that_is_killed_in_the_middle_lies_about_nothing() -> None:
    """A power cut or the out-of-memory killer comes at any line."""
    chance = random.Random(9)  # noqa: S311  # the same moments at each run, more or less
    received: list[Dist] = []
    uploaded: list[Dist] = []
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        for number in range(ROUNDS):
            dists = [wheel(f"killed{number}-{n}", "1.0", padding=SIZE) for n in range(4)]
            urls = [mirrored.publish(dist)[0] for dist in dists]
            upstream.fail("/files/*", faults.trickle(0.004))
            own = [wheel(f"own{number}-{n}", "1.0", padding=SIZE // 10) for n in range(4)]
            with ThreadPoolExecutor(12) as pool:
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
            upstream.heal()
            mirrored.restart()
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

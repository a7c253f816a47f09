"""A disk that is full under the mirror: what is here is served, nothing is shown that is not so."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, run_command, wait_until
from tests.support.upstream import JSON, Upstream

pytestmark = pytest.mark.needs_root


@pytest.fixture
def mirrored() -> Iterator[Mirrored]:
    """A mirror whose state lies on a disk of its own of 40 MB."""
    with Upstream() as upstream, mirror_of(upstream) as running:
        running.mirror.run(BIN / "mirror", "stop")
        folder = running.mirror.home / "mirror"
        kept = folder.rename(running.mirror.home / "kept")
        folder.mkdir(mode=0o700)
        mount = ("mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", folder)
        run_command(*mount, env=running.mirror.environment)
        try:
            shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
            running.restart()
            yield running
        finally:
            running.mirror.run(BIN / "mirror", "stop")
            # The process that parses pages writes into the server's log: it ends a moment after the server.
            unmount = ("umount", folder)
            environment = running.mirror.environment
            wait_until(
                "nobody uses the disk",
                lambda: not run_command(*unmount, env=environment, status=None).returncode,
            )


def fill(mirrored: Mirrored) -> Path:
    """Take every byte of the disk; removing the file frees them."""
    filler = mirrored.mirror.home / "mirror" / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_makes_no_page_wrong_and_no_file_half(mirrored: Mirrored) -> None:
    """Clients believe an answer, and a file that was kept is served for years."""
    seen, new = wheel("seen", "1.0"), wheel("new", "1.0", padding=3_000_000)
    (seen_url,) = mirrored.publish(seen)
    assert requests.get(seen_url, timeout=30).content == seen.content
    (new_url,) = mirrored.publish(new)
    mirrored.upstream.add("unseen", wheel("unseen", "1.0"))
    filler = fill(mirrored)
    assert [file["filename"] for file in mirrored.page("seen")["files"]] == [seen.filename]
    assert requests.get(seen_url, timeout=30).content == seen.content
    unseen = requests.get(f"{mirrored.mirror.index_url('root/pypi')}unseen/", timeout=30)
    assert (unseen.status_code, unseen.text) == (
        503,
        "the page of unseen cannot be stored: No space left on device\n",
    )
    assert whole_or_trouble(new_url) in (new.content, None)
    assert upload(mirrored, "1.0") >= 500
    assert names_or_trouble(mirrored, "own", "company/dev") in ([], None)
    filler.unlink()
    mirrored.restart()  # what an administrator does; nothing else is needed
    wait_until("the page that was not kept", lambda: names_or_trouble(mirrored, "unseen") is not None)
    assert requests.get(new_url, timeout=30).content == new.content
    assert upload(mirrored, "1.1") == 200
    assert names_or_trouble(mirrored, "own", "company/dev") == ["own-1.1-py3-none-any.whl"]


def test_a_full_disk_can_be_pruned(mirrored: Mirrored) -> None:
    """The database has no room for what it has to say about that, until the files are gone."""
    dists = [wheel(f"prune{number}", "1.0", padding=300_000) for number in range(4)]
    urls = [mirrored.publish(dist)[0] for dist in dists]
    for url in urls:
        assert requests.get(url, timeout=30).status_code == 200
    filler = fill(mirrored)
    mirrored.mirror.run(BIN / "mirror", "prune", "--max-size", "0")
    files = mirrored.mirror.home / "mirror/server/+files/root/pypi"
    assert [path.name for path in files.rglob("*") if path.is_file()] == []
    assert requests.get(urls[0], timeout=30).content == dists[0].content
    filler.unlink()


def names_or_trouble(mirrored: Mirrored, project: str, index: str = "root/pypi") -> list[str] | None:
    """The file names on a page, [] for no such project, None when the server cannot say."""
    url = f"{mirrored.mirror.index_url(index)}{project}/"
    answer = requests.get(url, headers={"Accept": JSON}, timeout=30)
    if answer.status_code == 404:
        return []
    if answer.status_code >= 500:
        return None
    return [file["filename"] for file in answer.json()["files"]]


def whole_or_trouble(url: str) -> bytes | None:
    """The body of a good answer, None for one that is not, or is cut off."""
    try:
        answer = requests.get(url, timeout=30)
    except requests.RequestException:
        return None
    return answer.content if answer.ok else None


def upload(mirrored: Mirrored, version: str) -> int:
    """The status of an upload of project `own`."""
    dist = wheel("own", version, padding=100_000)
    form = {":action": "file_upload", "metadata_version": "2.1", "name": "own", "version": version}
    return requests.post(
        f"{mirrored.mirror.url}/company/dev/",
        data={**form, "filetype": "bdist_wheel", "pyversion": "py3", "sha256_digest": dist.sha256},
        files={"content": (dist.filename, dist.content)},
        auth=("company", mirrored.mirror.credentials["company"]),
        timeout=30,
    ).status_code

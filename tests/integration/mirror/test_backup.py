"""A backup of a real mirror that is uploaded to meanwhile, and the mirror made of it."""

import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import requests

from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, clean_environment, run_command, short_home
from tests.support.upstream import JSON, Upstream


def _upload(mirrored: Mirrored, dist: Dist) -> None:
    login = ("company", mirrored.mirror.credentials["company"])
    fields = {":action": "file_upload", "name": dist.filename.split("-")[0], "version": "1.0"}
    answer = requests.post(
        f"{mirrored.mirror.url}/company/dev/",
        auth=login,
        data={**fields, "metadata_version": "2.1", "filetype": "bdist_wheel", "pyversion": "py3"},
        files={"content": (dist.filename, dist.content)},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


@contextmanager
def _busy(mirrored: Mirrored, uploaded: list[str]) -> Iterator[None]:
    """Upload one project after the other inside the block."""
    done = threading.Event()

    def work() -> None:
        number = 0
        while not done.is_set():
            _upload(mirrored, wheel(f"busy{number}", "1.0", padding=20_000))
            uploaded.append(f"busy{number}")
            number += 1

    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(work)
        try:
            yield
        finally:
            done.set()
    uploading.result()


def _download_all(url: str, project: str, expected: Collection[int] = (200,)) -> list[bytes]:
    """Every file that the page of `project` lists, if there is one."""
    page = f"{url}/company/dev/+simple/{project}/"
    answer = requests.get(page, headers={"Accept": JSON}, timeout=30)
    assert answer.status_code in expected, answer.text
    if answer.status_code != 200:
        return []
    found = [requests.get(urljoin(page, file["url"]), timeout=30) for file in answer.json()["files"]]
    assert {file.status_code for file in found} == {200}
    return [file.content for file in found]


def test_a_mirror_is_made_again_from_a_backup_that_was_taken_while_it_worked() -> None:
    """Every file that the pages of the backup list is in it, the upstream's too; whoever could log in can."""
    cached, own, uploaded = wheel("cached", "1.0", padding=50_000), wheel("own", "1.0"), list[str]()
    with Upstream() as upstream, mirror_of(upstream) as mirrored, short_home() as home:
        (url,) = mirrored.publish(cached)
        assert requests.get(url, timeout=30).content == cached.content
        _upload(mirrored, own)
        with _busy(mirrored, uploaded):
            while len(uploaded) < 5:
                threading.Event().wait(0.1)
            before = list(uploaded)
            backup = (BIN / "mirror", "backup", home / "backups")
            made = mirrored.mirror.run(*backup).stdout.strip()
            at_most = [*uploaded, f"busy{len(uploaded)}"]
        mirrored.mirror.run(BIN / "mirror", "stop")
        with upstream.refusing(), _restored(made, home):
            assert _download_all(mirrored.mirror.url, "cached") == [cached.content]
            assert _download_all(mirrored.mirror.url, "own") == [own.content]
            assert [len(_download_all(mirrored.mirror.url, project)) for project in before] == [1] * len(
                before
            )
            for project in at_most:  # whole or not at all
                _download_all(
                    mirrored.mirror.url, project, {200, 503}
                )  # the upstream may have such a project: it is not there to ask


@contextmanager
def _restored(made: str, home: Path) -> Iterator[None]:
    """The mirror of the backup `made` serves at the same address, and needs nothing changed."""
    environment = clean_environment(home)
    run_command(BIN / "mirror", "restore", made, env=environment)
    run_command(BIN / "mirror", "serve", "--background", env=environment, cwd=home)
    try:
        assert run_command(BIN / "mirror", "init", env=environment, cwd=home).stdout == "nothing to change\n"
        yield
    finally:
        run_command(BIN / "mirror", "stop", env=environment, cwd=home)


def test_whoever_leaves_takes_all_uploads_away_with_devpis_own_export(tmp_path: Path) -> None:
    """devpi's commands do not load our plugin: they find uploads in devpi's records, and we find theirs."""
    dist = wheel("leaving", "1.0")
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        _upload(mirrored, dist)
        mirrored.mirror.run(BIN / "mirror", "stop")
        server = mirrored.mirror.home / "mirror" / "server"
        mirrored.mirror.run(BIN / "devpi-export", "--serverdir", server, tmp_path / "exported")
        server.rename(tmp_path / "left")
        mirrored.mirror.run(BIN / "devpi-import", "--serverdir", server, "--no-events", tmp_path / "exported")
        mirrored.mirror.run(BIN / "mirror", "serve", "--background", cwd=mirrored.mirror.home)
        assert _download_all(mirrored.mirror.url, "leaving") == [dist.content]

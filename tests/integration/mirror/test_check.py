"""`mirror check` finds what is wrong in a real mirror that serves, and repairs what can be."""

import gzip
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mirror import config
from tests.support import documents
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, free_port, run_command
from tests.support.upstream import Listed, Upstream


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as running:
        yield running


def check(mirrored: Mirrored, *options: str, status: int) -> list[Any]:
    """The problems of `mirror check`, which has to end with `status`."""
    done = mirrored.mirror.run(BIN / "mirror", "check", "--json", *options, status=status)
    problems: list[Any] = json.loads(done.stdout)["problems"]
    return problems


def stored(mirrored: Mirrored, dist: Dist, index: str = "root/pypi") -> Path:
    part = dist.sha256
    return mirrored.mirror.home / f"mirror/server/+files/{index}/+f" / part[:3] / part[3:16] / dist.filename


def upload(mirrored: Mirrored, folder: Path, index: str = "company/dev") -> Dist:
    dist = wheel(new_name("own"), "1.0")
    (folder / dist.filename).write_bytes(dist.content)
    mirrored.upload(folder / dist.filename, index)
    return dist


def test_the_page_about_upkeep_shows_commands_that_work(mirrored: Mirrored, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("demo==1.0\n")
    shown = list(documents.blocks("upkeep.md"))
    for block in shown:
        if block.language == "toml" and block.filename != "release.toml":
            (tmp_path / "prune.toml").write_text(block.text)
            assert config.load(tmp_path / "prune.toml").prune.max_size == "50G"
    environment = {**mirrored.mirror.environment}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    commands = "".join(documents.script(block.text) for block in shown if block.language == "sh")
    try:
        run_command("sh", "-ec", commands.replace("3142", str(free_port())), env=environment, cwd=tmp_path)
    finally:
        run_command("mirror", "stop", env={**environment, "PACKHORSE_HOME": str(tmp_path / "trial")})
    assert commands.count("mirror prune") >= 3
    assert "mirror restore" in commands


def test_cached_files_that_are_damaged_or_missing_come_from_the_upstream_again(
    mirrored: Mirrored,
) -> None:
    name = new_name("check")
    damaged, missing, hashless = wheel(name, "1.0"), wheel(name, "2.0"), wheel(new_name("check"), "1.0")
    urls = [*mirrored.publish(damaged, missing), *mirrored.publish(Listed(hashless, hashes={}))]
    for url in urls:
        assert requests.get(url, timeout=30).status_code == 200
    assert check(mirrored, status=0) == []
    (without_hash,) = (mirrored.mirror.home / "mirror/server/+files/root/pypi/+e").rglob(hashless.filename)
    stored(mirrored, damaged).write_bytes(b"other bytes")
    stored(mirrored, missing).unlink()
    without_hash.write_bytes(hashless.content + b"more")
    before = stored(mirrored, damaged).stat().st_atime
    found = check(mirrored, status=1)
    assert sorted((each["kind"], each["path"].rpartition("/")[2]) for each in found) == sorted([
        ("damaged", damaged.filename),
        ("missing", missing.filename),
        ("damaged", hashless.filename),
    ])  # fmt: skip
    assert stored(mirrored, damaged).stat().st_atime == before
    assert all(each["repaired"] for each in check(mirrored, "--repair", status=0))
    assert (stored(mirrored, damaged).read_bytes(), stored(mirrored, missing).read_bytes()) == (
        damaged.content,
        missing.content,
    )
    assert without_hash.read_bytes() == hashless.content
    assert check(mirrored, status=0) == []


def test_a_page_from_before_metadata_was_read_is_as_it_should_be(mirrored: Mirrored) -> None:
    """An upstream without metadata files is usual: a page promises them all the same, without a hash."""
    mirrored.upstream.metadata = False
    dist = wheel(new_name("later"), "1.0")
    (url,) = mirrored.publish(dist)
    mirrored.upstream.metadata = True
    for form in ("application/vnd.pypi.simple.v1+json", "text/html"):
        page = f"{mirrored.mirror.index_url('root/pypi')}{dist.filename.partition('-')[0]}/"
        assert requests.get(page, headers={"Accept": form}, timeout=30).status_code == 200
    assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
    assert check(mirrored, status=0) == []


def test_what_the_upstream_cannot_give_back_is_said(mirrored: Mirrored) -> None:
    dist = wheel(new_name("check"), "1.0")
    (url,) = mirrored.publish(dist)
    assert requests.get(url, timeout=30).status_code == 200
    stored(mirrored, dist).write_bytes(b"other bytes")
    with mirrored.upstream.refusing():
        (left,) = check(mirrored, "--repair", status=1)
    assert (left["repaired"], "could not be had again" in left["done"]) == (False, True)
    assert requests.get(url, timeout=30).content == dist.content


@pytest.mark.parametrize("index", ["company/dev", "company/prod"])  # files of the second are not replaced
def test_a_damaged_upload_is_put_aside_and_the_mirror_starts_again(
    mirrored: Mirrored, tmp_path: Path, index: str
) -> None:
    """Its record is the last thing that devpi has written, and devpi looks for the file of that."""
    dist = upload(mirrored, tmp_path, index)
    path = stored(mirrored, dist, index)
    path.write_bytes(b"other bytes")
    (found,) = check(mirrored, "--repair", status=1)
    assert (found["kind"], found["repaired"], "upload it again" in found["done"]) == ("damaged", False, True)
    (kept,) = (mirrored.mirror.home / "mirror/server/+quarantine").glob(
        f"*/{path.relative_to(path.parents[5])}"
    )
    assert (kept.read_bytes(), path.exists()) == (b"other bytes", False)
    refused = requests.get(mirrored.url_of(dist, index), timeout=30)
    assert refused.status_code == 404
    assert "in quarantine since" in refused.reason
    why = mirrored.mirror.run(BIN / "mirror", "why", dist.filename.partition("-")[0]).stdout
    assert "in quarantine since" in why
    mirrored.restart()
    (found,) = check(mirrored, "--repair", status=1)
    assert "in quarantine since" in found["text"]
    mirrored.upload(tmp_path / dist.filename, index)
    assert check(mirrored, status=0) == []
    assert requests.get(mirrored.url_of(dist, index), timeout=30).content == dist.content


def test_a_damaged_upload_comes_back_by_another_push(mirrored: Mirrored, tmp_path: Path) -> None:
    dist = upload(mirrored, tmp_path)
    name, version = dist.filename.split("-")[:2]
    login = ("company", mirrored.mirror.credentials["company"])

    def push() -> str:
        body = {"name": name, "version": version, "targetindex": "company/prod"}
        answer = requests.post(f"{mirrored.mirror.url}/company/dev", json=body, auth=login, timeout=30)
        return requests.get(mirrored.url_of(dist, "company/prod"), timeout=30).reason + str(
            answer.status_code
        )

    assert push() == "OK200"
    stored(mirrored, dist, "company/prod").write_bytes(b"other bytes")
    check(mirrored, "--repair", status=1)
    assert push() == "OK200"
    assert check(mirrored, status=0) == []


def test_orphans_and_leftovers_go_and_those_of_uploads_are_put_aside(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    dist = upload(mirrored, tmp_path)
    server, an_hour_ago = mirrored.mirror.home / "mirror/server", time.time() - 4000
    paths = [
        "+files/root/pypi/+f/abc/0123456789abc/orphan-1.0.zip",
        "+files/root/pypi/stray.txt",
        "+files/root/pypi/+f/abc/0123456789abc/half-1.0.zip-0123456789-tmp",
        "+files/company/dev/+f/abc/0123456789abc/orphan-1.0.zip",
        "+files/nobody/gone/+f/abc/0123456789abc/orphan-1.0.zip",
        "+downloads/0123456789abcdef",
    ]
    for path in paths:
        (server / path).parent.mkdir(parents=True, exist_ok=True)
        (server / path).write_bytes(b"x")
        os.utime(server / path, (an_hour_ago, an_hour_ago))
    at_work = server / "+files/company/dev/+f/abc/0123456789abc/new-1.0.zip-0123456789-tmp"
    at_work.write_bytes(b"x")
    assert sorted(each["path"] for each in check(mirrored, status=1)) == sorted(paths)
    check(mirrored, "--repair", status=0)
    assert [path for path in paths if (server / path).exists()] == []
    put_aside = [path for path in (server / "+quarantine").rglob("orphan*") if path.is_file()]
    assert len(put_aside) == 2
    assert at_work.exists()
    assert requests.get(mirrored.url_of(dist, "company/dev"), timeout=30).content == dist.content


def test_pages_and_metadata_that_are_untrue_are_made_again(mirrored: Mirrored) -> None:
    dist = wheel(new_name("check"), "1.0")
    (url,) = mirrored.publish(dist)
    assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
    project = dist.filename.partition("-")[0]
    server = mirrored.mirror.home / "mirror/server"
    page = server / f"+pages/fresh/{project}/root/pypi.json.gz"
    mirrored.page(project)
    assert check(mirrored, status=0) == []
    page.write_bytes(gzip.compress(gzip.decompress(page.read_bytes()).replace(b"1.0", b"6.6")))
    torn = page.with_name("pypi.html.gz")
    requests.get(f"{mirrored.mirror.index_url('root/pypi')}{project}/", timeout=30).raise_for_status()
    torn.write_bytes(torn.read_bytes()[:-9])
    (metadata,) = (server / "+metadata/by-index/root/pypi").glob(f"*/{dist.sha256}.*")
    metadata.write_bytes(b"Name: evil")
    upstream_page = server / f"+upstream/root%2Fpypi/{project}"
    upstream_page.write_bytes(upstream_page.read_bytes()[:-1])
    found = check(mirrored, status=1)
    assert sorted({each["kind"] for each in found}) == ["damaged", "untrue"]
    assert len(found) == 5  # one of the metadata's two names is nginx's
    check(mirrored, "--repair", status=0)
    assert [file["filename"] for file in mirrored.page(project)["files"]] == [dist.filename]
    assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
    assert check(mirrored, status=0) == []

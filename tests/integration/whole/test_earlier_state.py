"""What an earlier version left is taken over without loss: pages, files, uploads, journal, releases."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.support import earlier_state
from tests.support.local_target import get
from tests.support.servers import BIN, Mirror, short_home
from tests.support.upstream import JSON


@pytest.fixture(scope="module")
def earlier() -> Iterator[tuple[Mirror, Any]]:
    """A mirror of this version that serves that state, and what the earlier one showed."""
    with short_home() as home:
        facts = earlier_state.unpack(home)
        url = json.loads((home / "mirror" / "credentials.json").read_text())["url"]
        mirror = Mirror(url, home)
        mirror.run(BIN / "mirror", "init", cwd=home)
        mirror.run(BIN / "mirror", "serve", "--background", cwd=home)
        try:
            yield mirror, facts
        finally:
            mirror.run(BIN / "release", "stop", "local", cwd=home / "src", status=None)
            mirror.run(BIN / "mirror", "stop", cwd=home)


def page(mirror: Mirror, path: str) -> dict[str, Any]:
    index, _, project = path.rpartition("/")
    answer = requests.get(f"{mirror.index_url(index)}{project}/", headers={"Accept": JSON}, timeout=60)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_pages_and_files_are_as_before(earlier: tuple[Mirror, Any]) -> None:
    """The upstream is gone: what is shown is what was cached."""
    mirror, facts = earlier
    for path, before in facts["pages"].items():
        after = page(mirror, path)
        assert after["versions"] == before["versions"]
        assert [file["filename"] for file in after["files"]] == [file["filename"] for file in before["files"]]
        for old, new in zip(before["files"], after["files"], strict=True):
            kept = {key: value for key, value in old.items() if key not in ("hashes", "url")}
            assert kept == {key: new[key] for key in kept}
            assert old["hashes"].items() <= new["hashes"].items()
            if old["filename"].startswith("needed"):
                continue  # nobody had asked for it
            base = f"{mirror.index_url(path.rpartition('/')[0])}x/"
            for url in (old["url"], new["url"]):  # the earlier address is in locks
                assert requests.get(urljoin(base, url), timeout=60).status_code == 200, url


def test_who_could_log_in_and_upload_still_can(earlier: tuple[Mirror, Any]) -> None:
    mirror, facts = earlier
    assert mirror.credentials == facts["credentials"]
    answer = requests.post(
        f"{mirror.url}/+login",
        json={"user": "company", "password": mirror.credentials["company"]},
        timeout=30,
    )
    assert answer.status_code == 200


def test_releases_are_listed_rolled_back_to_and_followed(earlier: tuple[Mirror, Any]) -> None:
    """The journal and the release folders are those of the earlier version; its artifacts still deploy."""
    mirror, facts = earlier
    project = mirror.home / "src"

    def release(*arguments: str) -> dict[str, Any]:
        done = mirror.run(BIN / "release", *arguments, "--json", cwd=project)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    bind = tomllib.loads((project / "release.toml").read_text())["targets"]["local"]["bind"]
    port = int(bind.partition(":")[2])
    before = facts["releases"]["hosts"][0]["releases"]
    after = release("releases", "local")["hosts"][0]["releases"]
    assert [one["release"] for one in after] == [one["release"] for one in before]
    assert [one["version"] for one in after] == [one["version"] for one in before]
    mirror.run(BIN / "release", "start", "local", cwd=project)
    assert get(port) == "0.2.0"
    release("config", "set", "local", "NEW=1")
    environment = json.loads(get(port, "/env"))
    assert (environment["X"], environment["NEW"]) == ("2", "1")
    release("rollback", "local")
    assert "NEW" not in json.loads(get(port, "/env"))
    release("rollback", "local")
    assert get(port) == "0.1.0"
    assert json.loads(get(port, "/env"))["X"] == "1"
    release("deploy", "local", "tiny==0.2.0")
    assert get(port) == "0.2.0"

"""devpi-export and devpi-import of a mirror, to and from a devpi-server without our plugin too."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.support.devpi_servers import export_devpi, import_devpi, running_devpi
from tests.support.dists import attestation, sdist, wheel
from tests.support.mirror_and_upstream import mirror_of
from tests.support.servers import BIN, Mirror, free_port
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import JSON, Listed, Upstream

HERE, BROKEN, ELSEWHERE = wheel("demo", "1.0"), sdist("demo", "2.0"), wheel("demo", "3.0")
OWN, YANKED = wheel("own", "1.0"), sdist("own", "2.0")


@dataclass(frozen=True)
class Exported:
    """What a mirror exported, and what it showed before."""

    mirror: Mirror
    team: Team
    folder: Path
    own: Any  # the files of "own" on the page of its index


@pytest.fixture(scope="module")
def exported() -> Iterator[Exported]:
    """A mirrored project with a yanked file, one of whose files is not here; and one of the team's own."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        listed = Listed(BROKEN, yanked="breaks things")
        addresses = mirrored.publish(HERE, listed, ELSEWHERE)
        for address in addresses[:2]:
            assert requests.get(address, timeout=30).status_code == 200
        team = new_team(mirrored)
        team.upload(OWN, attestations=json.dumps([attestation(OWN)]))
        team.upload(YANKED)
        team.call("PUT", f"{team.index('dev')}/own/2.0/+yank", json={"reason": "too early"})
        own = mirrored.page("own", team.index("dev"))["files"]
        mirrored.mirror.run(BIN / "mirror", "stop")
        target = mirrored.mirror.home / "exported"
        export_devpi(mirrored.mirror, mirrored.mirror.home / "mirror" / "server", target)
        yield Exported(mirrored.mirror, team, target, own)


def _files(url: str, index: str, project: str) -> Any:  # noqa: ANN401 (JSON)
    """The files of a page, each of which can be had."""
    page = f"{url}/{index}/+simple/{project}/"
    files = requests.get(page, headers={"Accept": JSON}, timeout=30).json()["files"]
    for file in files:
        assert requests.get(urljoin(page, file["url"]), timeout=30).status_code == 200
    return files


def _check_all_is_here(url: str, exported: Exported) -> None:
    mirrored = {file["filename"]: file for file in _files(url, "root/pypi", "demo")}
    assert {name: file["yanked"] for name, file in mirrored.items()} == {
        HERE.filename: False,
        BROKEN.filename: "breaks things",
    }
    assert mirrored[HERE.filename]["hashes"] == {"sha256": HERE.sha256}
    assert _files(url, exported.team.index("dev"), "own") == exported.own


def test_all_that_was_here_is_here_after_export_and_import(exported: Exported) -> None:
    """Yanks, times and attestations of uploads, and the mirrored files, as far as they had been fetched."""
    folder = exported.mirror.home / "imported"
    import_devpi(exported.mirror, exported.folder, folder)
    with running_devpi(exported.mirror, folder, free_port(), "--offline-mode") as url:
        _check_all_is_here(url, exported)


def _pinned(folder: Path) -> Any:  # noqa: ANN401 (JSON)
    return json.loads((folder / "dataindex.json").read_text())["packhorse_pinned"]


def test_hashes_that_files_are_held_to_are_exported_and_imported(exported: Exported) -> None:
    """Else an upstream could replace every file whose bytes were not exported."""
    folder, again = (exported.mirror.home / name for name in ("with-hashes", "with-hashes-again"))
    import_devpi(exported.mirror, exported.folder, folder)
    export_devpi(exported.mirror, folder, again)
    files = {HERE.filename: HERE.sha256, BROKEN.filename: BROKEN.sha256}
    assert _pinned(exported.folder) == _pinned(again) == {"root/pypi/demo/.pinned": files}


def test_all_comes_back_from_a_devpi_server_without_our_plugin(exported: Exported) -> None:
    """It shows mirrored files with their yanks, and keeps of uploads what it does not show itself."""
    stock, again, back = (exported.mirror.home / name for name in ("stock", "again", "back"))
    import_devpi(exported.mirror, exported.folder, stock, stock=True)
    with running_devpi(exported.mirror, stock, free_port(), "--offline-mode", stock=True) as url:
        page = requests.get(
            f"{url}/root/pypi/+simple/demo/", headers={"User-Agent": "pip/26.3"}, timeout=30
        ).text
        assert sorted(re.findall(r">([^<]+\.(?:whl|gz))</a>", page)) == sorted(
            [HERE.filename, BROKEN.filename]
        )
        assert page.count("data-yanked") == 1
        own = f"{url}/{exported.team.index('dev')}/+simple/own/"
        assert OWN.filename in requests.get(own, timeout=30).text
    export_devpi(exported.mirror, stock, again, stock=True)
    import_devpi(exported.mirror, again, back)
    with running_devpi(exported.mirror, back, free_port(), "--offline-mode") as url:
        _check_all_is_here(url, exported)

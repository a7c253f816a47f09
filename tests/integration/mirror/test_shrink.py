"""`mirror shrink` beside a real mirror, its replica and a full disk: all that was here is here afterwards."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.dists import attestation, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, free_port, wait_until
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import JSON, Upstream

UPLOADS = 6
LARGE = "x" * 200_000


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    """A mirror with a cached file, uploads, yanks, provenance, and a large text that was stored often."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        (address,) = mirrored.publish(wheel("cached", "1.0"))
        assert requests.get(address, timeout=30).status_code == 200
        made = new_team(mirrored)
        made.upload(wheel("own", "2.0"), description=LARGE)
        for number in range(UPLOADS):
            made.upload(wheel("own", f"1.{number}"))
            for method in ("PUT", "DELETE"):  # the metadata of a version is stored anew with each yank
                made.call(method, f"{made.index('dev')}/own/2.0/+yank")
        made.upload(wheel("signed", "1.0"), attestations=json.dumps([attestation(wheel("signed", "1.0"))]))
        made.call("PUT", f"{made.index('dev')}/own/1.3/+yank", json={"reason": "too early"})
        yield made


def seen(url: str, team: Team) -> dict[str, Any]:
    """All that clients see: pages, files, their metadata and provenance, users and indexes."""
    found: dict[str, Any] = {}
    for index, project in (
        (team.index("dev"), "own"),
        (team.index("dev"), "signed"),
        ("root/pypi", "cached"),
    ):
        page = f"{url}/{index}/+simple/{project}/"
        for kind in (JSON, "text/html"):
            answer = requests.get(page, headers={"Accept": kind}, timeout=30)
            assert answer.status_code == 200, answer.text
            found[f"{page} {kind}"] = answer.text
        for file in requests.get(page, headers={"Accept": JSON}, timeout=30).json()["files"]:
            addresses = [file["url"], f"{file['url']}.metadata", *filter(None, [file.get("provenance")])]
            for address in (urljoin(page, each) for each in addresses):
                answer = requests.get(address, timeout=30)
                assert answer.status_code == 200, f"{address}: {answer.text}"
                found[address] = answer.content
    return {name.removeprefix(url): value for name, value in found.items()}


def settings(team: Team) -> Any:  # noqa: ANN401 (JSON)
    """Users, indexes, reservations and the metadata of a version; the login shows that passwords stay."""
    paths = (team.name, team.index("dev"), f"{team.index('dev')}/own/2.0")
    mirror = team.mirrored.mirror
    reserved = requests.get(f"{mirror.url}/+reserved", auth=("root", mirror.credentials["root"]), timeout=30)
    return [*(team.call("GET", path).json() for path in paths), reserved.json()["result"]["own"]]


def shrink(mirrored: Mirrored, *options: str) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(mirrored.mirror.run(BIN / "mirror", "shrink", "--json", *options).stdout)


def test_all_that_clients_see_stays_while_the_mirror_serves_and_is_uploaded_to(team: Team) -> None:
    """Nobody stops a mirror for its disk's sake; a cached file is not asked for again."""
    mirrored = team.mirrored
    team.upload(wheel("busy", "1.0"))
    before, kept = seen(mirrored.mirror.url, team), settings(team)

    def plan() -> Any:  # noqa: ANN401 (JSON)
        found = shrink(mirrored, "--dry-run")
        return found if found["freed"] > 2_000_000 else None

    # What devpi has not told its plugins of stays, and it tells them when a burst of uploads is over.
    planned = wait_until("something to free", plan)
    done = threading.Event()
    mirrored.upstream.forget()

    def go_on() -> int:
        number = 0
        while not done.is_set():
            team.upload(wheel("busy", f"2.{number}"))
            assert seen(mirrored.mirror.url, team) == before
            number += 1
        return number

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(go_on)
        try:
            freed = shrink(mirrored)
        finally:
            done.set()
        assert busy.result() > 0
    assert freed["after"] < planned["before"] / 2
    assert len(team.shown("busy")) == busy.result() + 1
    mirrored.restart()  # from the disk alone
    assert seen(mirrored.mirror.url, team) == before
    assert settings(team) == kept
    assert not [request for request in mirrored.upstream.requests if request.path.startswith("/files/")]


def test_a_replica_goes_on_and_a_new_one_gets_everything(team: Team) -> None:
    """Serials stay: a replica that was behind comes to the same state as one that was not."""
    mirrored, home = team.mirrored, team.mirrored.mirror.home
    before = seen(mirrored.mirror.url, team)
    mirrored.mirror.run(BIN / "mirror", "stop")
    port = urlsplit(mirrored.mirror.url).port or 0
    role = ("--role", "replica", "--primary-url", mirrored.mirror.url)
    server = home / "mirror" / "server"
    init_devpi(mirrored.mirror, home / "replica", *role)
    with running_devpi(mirrored.mirror, server, port, "--role", "primary"):
        with running_devpi(mirrored.mirror, home / "replica", free_port(), *role) as replica:
            _wait_for(replica, team, "own", "1.0")
        for number in range(3):  # while the replica is away
            team.upload(wheel("own", f"3.{number}"))
        shrink(mirrored, "--serverdir", str(server))
        before = seen(mirrored.mirror.url, team)
        for folder in ("replica", "another"):
            if folder == "another":
                init_devpi(mirrored.mirror, home / folder, *role)
            replica_port = free_port()
            with running_devpi(mirrored.mirror, home / folder, replica_port, *role) as replica:
                _wait_for(replica, team, "own", "3.2")
                assert seen(replica, team) == before
                if folder == "replica":
                    shrink(mirrored, "--serverdir", str(home / folder))
                    assert seen(replica, team) == before
            # Two threads of devpi may get one upload at once, and one of them fails: that is not ours.
            assert "MissesRegistration" not in (home / f"{replica_port}.log").read_text()
            assert "[NOTI] calling" not in (home / f"{replica_port}.log").read_text()
    mirrored.restart()


def _wait_for(replica: str, team: Team, project: str, version: str) -> None:
    page = f"{replica}/{team.index('dev')}/+simple/{project}/"
    wait_until(f"{version} is replicated", lambda: f"-{version}-" in requests.get(page, timeout=30).text)


def test_an_export_and_devpis_own_check_find_everything(team: Team) -> None:
    """The last serial, too, is read when devpi starts."""
    path = team.mirrored.mirror.home / "mirror" / "server" / ".sqlite"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = database.execute("SELECT count(*) FROM changelog").fetchone()
        (last,) = database.execute("SELECT max(serial) FROM changelog").fetchone()
    assert count == last + 1
    team.mirrored.mirror.run(BIN / "devpi-fsck", "--serverdir", path.parent)

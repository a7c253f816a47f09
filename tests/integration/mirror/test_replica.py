"""A real devpi replica with our plugin: what it has not, it gets from its primary."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import requests

from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.dists import Dist, attestation, licensed, wheel
from tests.support.faults import Answer
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, free_port, wait_until
from tests.support.team_indexes import new_team
from tests.support.upstream import JSON, Listed, Upstream

ATTESTED = Path(__file__).parents[2] / "support" / "attested"


def test_a_replica_serves_files_and_metadata_of_its_primary() -> None:
    """Its own storage may not be written to, and no client's header may go further either."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        upstream.metadata = False
        dist = wheel("replicated", "1.0", requires=["other"], padding=400_000)
        (address,) = mirrored.publish(dist)
        hashless = wheel("hashless", "1.0")
        mirrored.publish(Listed(hashless, hashes={}))
        mirrored.mirror.run(BIN / "mirror", "stop")
        primary_folder = mirrored.mirror.home / "mirror" / "server"
        primary_port = urlsplit(mirrored.mirror.url).port or 0
        replica_folder = mirrored.mirror.home / "replica"
        role = ("--role", "replica", "--primary-url", mirrored.mirror.url)
        init_devpi(mirrored.mirror, replica_folder, *role)
        with (
            running_devpi(mirrored.mirror, primary_folder, primary_port, "--role", "primary"),
            running_devpi(mirrored.mirror, replica_folder, free_port(), *role) as replica,
        ):
            page = f"{replica}/root/pypi/+simple/replicated/"
            wait_until("the index is replicated", lambda: requests.get(page, timeout=30).status_code == 200)
            (entry,) = requests.get(page, headers={"Accept": JSON}, timeout=30).json()["files"]
            assert entry["core-metadata"]
            url = f"{replica}{urlsplit(address).path}"
            secret = {"Cookie": "auth_tkt=secret", "Authorization": "Basic c2VjcmV0OnNlY3JldA=="}
            assert requests.get(f"{url}.metadata", headers=secret, timeout=30).content == dist.metadata
            assert int(requests.head(url, timeout=30).headers["Content-Length"]) == len(dist.content)
            with ThreadPoolExecutor(16) as pool:  # devpi's own way fails when it has come from elsewhere
                got = pool.map(lambda _: requests.get(url, headers=secret, timeout=30).content, range(16))
                assert set(got) == {dist.content}
            assert requests.get(url, headers={"Range": "bytes=-9"}, timeout=30).content == dist.content[-9:]
            # Where the primary keeps a file depends on where the upstream has it, if nothing says its hash.
            shown = requests.get(
                f"{replica}/root/pypi/+simple/hashless/", headers={"Accept": JSON}, timeout=30
            )
            url = urljoin(shown.url, shown.json()["files"][0]["url"])
            assert requests.get(url, timeout=30).content == hashless.content
            _require_evidence(mirrored, replica)
            _require_throttle(replica, mirrored.mirror.url, mirrored.mirror.credentials["root"])
    asked = [
        seen for seen in upstream.requests if seen.path.startswith("/files/") and "replicated" in seen.path
    ]
    assert [seen.headers.get("range") for seen in asked] == ["bytes=-32768", None, None]  # then HEAD, GET
    assert all("cookie" not in seen.headers and "authorization" not in seen.headers for seen in asked)


def _require_throttle(replica: str, primary: str, password: str) -> None:
    """A client that guesses through a replica slows down no other one, and a header makes it no other one."""

    def login(address: str, url: str, password: str) -> int:
        with httpx.Client(
            transport=httpx.HTTPTransport(local_address=address), timeout=60, trust_env=False
        ) as client:
            tried, stated = {"user": "root", "password": password}, {"X-Packhorse-Client": address[::-1]}
            return client.post(f"{url}/+login", json=tried, headers=stated).status_code

    assert {login("127.0.0.5", replica, f"guess {number}") for number in range(20)} == {401, 429}
    assert login("127.0.0.5", primary, "another") == 429
    assert login("127.0.0.6", replica, password) == 200


def _require_evidence(mirrored: Mirrored, replica: str) -> None:
    """Under rules by license and provenance, pages and files of a replica are those of its primary.

    Each finds out by itself: the replica asks its primary for metadata, and verifies attestations itself.
    """
    free, owed = licensed("free", "MIT"), licensed("owed", "AGPL-3.0-only")
    name = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
    real, project = Dist(name, (ATTESTED / name).read_bytes(), b""), "circleci-sign-publish-example"
    provenance = (ATTESTED / f"{name}.provenance").read_bytes()
    upstream = mirrored.upstream
    upstream.add(project, Listed(real, provenance=urljoin(upstream.url, "/integrity")))
    upstream.fail("/integrity", lambda _: Answer(200, {"Content-Type": "application/json"}, provenance))
    for dist in (free, owed):
        upstream.add(dist.filename.partition("-")[0], dist)
    publisher = {"kind": "CircleCI", "project_id": "fdd9283f-e619-46af-8f9c-851f7d3e8b2b"}
    rules = {
        "licenses": {"allow": ["MIT"], "deny": [], "unknown": "deny", "exempt": [project]},
        "require_provenance": [{"project": project, "publisher": publisher}],
    }
    login, primary = ("root", mirrored.mirror.credentials["root"]), mirrored.mirror.url
    requests.put(f"{primary}/+policies", json={"": rules}, auth=login, timeout=30).raise_for_status()

    def seen(url: str) -> list[tuple[list[str], bool]]:
        """Of each project, the files that its page lists, and whether the file itself is served."""
        found = []
        for dist, of in ((free, "free"), (owed, "owed"), (real, project)):
            page = requests.get(f"{url}/root/pypi/+simple/{of}/", headers={"Accept": JSON}, timeout=30)
            address = f"{url}/root/pypi/+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}"
            listed = [file["filename"] for file in page.json()["files"]]
            found.append((listed, requests.get(address, timeout=30).status_code == 200))
        return found

    expected = [([free.filename], True), ([], False), ([name], True)]
    assert seen(primary) == expected
    wait_until("the replica shows the same", lambda: seen(replica) == expected)
    _compare_refusals(primary, replica, owed)


def _compare_refusals(primary: str, replica: str, owed: Dist) -> None:
    """What is denied is so with the same words, also where the replica's pages have never had the file."""
    file = f"+f/{owed.sha256[:3]}/{owed.sha256[3:16]}/{owed.filename}"

    def said(url: str) -> list[tuple[int, str]]:
        found = []
        for path in (file, f"{file}.metadata", "+simple/owed/", "+why/owed"):
            for accept in (JSON, "application/json", "*/*"):
                answer = requests.get(f"{url}/root/pypi/{path}", headers={"Accept": accept}, timeout=30)
                found.append((answer.status_code, answer.text))
        return found

    there = said(primary)
    assert [status for status, _ in there] == [403] * 6 + [200] * 6
    texts = [text for _, text in there]
    assert all("AGPL-3.0-only" in text for text in (*texts[:6], *texts[9:]))
    assert all("1 files are withheld" in text for text in texts[6:9])
    wait_until("the replica says the same", lambda: said(replica) == there)
    other = requests.get(f"{replica}/root/pypi/{file.replace('-1.0', '-2.0')}", timeout=30)
    assert other.status_code == 404


def test_listeners_of_a_replica_learn_of_mirrored_files_and_uploads_come_with_their_provenance() -> None:
    """devpi looks for the links of each file that it has replicated, with the index offline."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        dist, own = wheel("replicated", "1.0"), wheel("own", "1.0")
        (address,) = mirrored.publish(dist)
        assert requests.get(address, timeout=30).content == dist.content
        team = new_team(mirrored)
        team.upload(own, attestations=json.dumps([attestation(own)]))
        mirrored.mirror.run(BIN / "mirror", "stop")
        primary_folder = mirrored.mirror.home / "mirror" / "server"
        primary_port = urlsplit(mirrored.mirror.url).port or 0
        replica_folder, port = mirrored.mirror.home / "replica", free_port()
        role = ("--role", "replica", "--primary-url", mirrored.mirror.url)
        init_devpi(mirrored.mirror, replica_folder, *role)
        log = mirrored.mirror.home / f"{port}.log"
        with (
            running_devpi(mirrored.mirror, primary_folder, primary_port, "--role", "primary"),
            running_devpi(mirrored.mirror, replica_folder, port, *role, listens=True) as replica,
        ):
            lines = {f"replicated replicated 1.0 {dist.filename}", f"replicated own 1.0 {own.filename}"}
            wait_until(f"{lines}", lambda: lines <= set(log.read_text().splitlines()), deadline=60)
            path = urlsplit(address).path.strip("/")
            (here,) = replica_folder.glob(f"+files/{path}")
            login = ("root", mirrored.mirror.credentials["root"])
            pruned = requests.post(
                f"{mirrored.mirror.url}/+cached-files", json={path: 1e12}, auth=login, timeout=30
            )
            assert pruned.json()["result"] == [path]
            wait_until("the replica has removed it, too", lambda: not here.exists())
            assert requests.get(address, timeout=30).content == dist.content
            wait_until("the replica has it again", here.exists)
            assert requests.get(f"{replica}/{path}", timeout=30).content == dist.content
            page = f"{replica}/{team.index('dev')}/+simple/own/"
            (file,) = requests.get(page, headers={"Accept": JSON}, timeout=30).json()["files"]
            provenance = requests.get(urljoin(page, file["provenance"]), timeout=30).json()
            assert provenance["attestation_bundles"][0]["attestations"] == [attestation(own)]
        # Two threads of devpi may get one upload at once, and one of them fails: that is not ours.
        assert "Error during file replication for root/pypi" not in log.read_text()

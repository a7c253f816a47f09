"""Known vulnerabilities on a running mirror: the rule of policies, also behind nginx, and what it tells."""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.nginx_front import through
from tests.support.servers import BIN, wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.needs("nginx")

SETTINGS = """
policy.vulnerabilities = {block = "high", report = "low"}
[advisories]
ignore = ["PYSEC-2026-9"]
"""


@pytest.fixture(scope="module")
def mirrored(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    """A mirror that withholds vulnerable versions, and nginx in front of it."""
    with fronted_mirror(upstream, port, SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(mirrored: Mirrored, port: int) -> Mirrored:
    """The same mirror, asked through nginx."""
    return through(port, mirrored)


def bring(mirrored: Mirrored, tmp_path: Path, *affected: tuple[str, str, str]) -> None:
    """`mirror advisories update` with an export that names these ids, projects and levels, fixed in 2.0."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, project, level in affected:
            events = [{"introduced": "0"}, {"fixed": "2.0"}]
            entry = {
                "package": {"ecosystem": "PyPI", "name": project},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "database_specific": {"severity": level},
            }
            record = {"id": name, "modified": "2026-01-01T00:00:00Z", "affected": [entry]}
            archive.writestr(f"{name}.json", json.dumps(record))
    mirrored.mirror.run(BIN / "mirror", "advisories", "update", tmp_path / "all.zip")


def listed(server: Mirrored, project: str) -> list[str]:
    return [file["filename"] for file in server.page(project, "company/dev")["files"]]


def lacking(server: Mirrored) -> list[str]:
    """The indexes of which `mirror status` says that they list nothing of upstreams."""
    found = json.loads(server.mirror.run(BIN / "mirror", "status", "--json").stdout)["lack_advisories"]
    return [str(name) for name in found]


def test_a_vulnerable_version_is_withheld_from_the_next_export_on(
    mirrored: Mirrored, nginx: Mirrored, tmp_path: Path
) -> None:
    """On pages and files, also those that nginx sent before; without a restart; and back when that was wrong.

    Without any advisories nothing is listed, and `mirror status` says why: nobody can know what is affected.
    """
    name, other = new_name("vulnerable"), new_name("harmless")
    old, new, fine = wheel(name, "1.0"), wheel(name, "2.0"), wheel(other, "1.0")
    mirrored.upstream.add(name, old, new)
    mirrored.upstream.add(other, fine)
    assert listed(mirrored, other) == []
    mirrored.mirror.run(BIN / "mirror", "why", other, status=1)
    assert lacking(mirrored) == ["all indexes"]
    bring(mirrored, tmp_path, ("PYSEC-2026-1", "something", "HIGH"))
    wait_until("pages follow", lambda: listed(mirrored, other) == [fine.filename])
    assert lacking(mirrored) == []
    assert listed(nginx, name) == [old.filename, new.filename]
    url = urljoin(nginx.mirror.url, f"/company/dev/+f/{old.sha256[:3]}/{old.sha256[3:16]}/{old.filename}")
    for _ in range(2):  # from devpi-server, then from the disk
        assert requests.get(url, timeout=30).content == old.content

    bring(mirrored, tmp_path, ("PYSEC-2026-2", name, "HIGH"), ("PYSEC-2026-9", other, "CRITICAL"))
    wait_until("the page follows", lambda: listed(nginx, name) == [new.filename])
    assert listed(nginx, other) == [fine.filename]  # ignored
    for address in (url, f"{url}.metadata"):
        answer = requests.get(address, timeout=30)
        assert answer.status_code == 403
        assert f"{name} 1.0 has PYSEC-2026-2 (high); take 2.0 or later" in answer.text
    metrics = requests.get(f"{mirrored.mirror.url}/+metrics", timeout=30).text
    assert 'packhorse_mirror_denials_total{rule="vulnerabilities"} ' in metrics
    reason = mirrored.mirror.run(BIN / "mirror", "why", f"{name}==1.0", status=1).stdout
    assert "PYSEC-2026-2" in reason
    installed = mirrored.mirror.run(
        *(sys.executable, "-Im", "pip", "download", "--no-deps", "--index-url"),
        *(nginx.mirror.index_url("company/dev"), "-d", tmp_path, f"{name}==1.0"),
        status=1,
    )
    assert "No matching distribution" in installed.stderr

    bring(mirrored, tmp_path, ("PYSEC-2026-2", name, "LOW"))
    wait_until("the page follows", lambda: len(listed(nginx, name)) == 2)
    assert requests.get(url, timeout=30).content == old.content


def test_what_is_not_denied_is_reported_everywhere_where_denials_are(
    mirrored: Mirrored, nginx: Mirrored, tmp_path: Path
) -> None:
    """On +why, by `mirror why`, in the log of decisions and the audit log; the file is listed and served."""
    name = new_name("reported")
    old, new = wheel(name, "1.0"), wheel(name, "2.0")
    mirrored.upstream.add(name, old, new)
    bring(mirrored, tmp_path, ("PYSEC-2026-4", name, "MODERATE"))
    wait_until("the page follows", lambda: listed(nginx, name) == [old.filename, new.filename])
    words = f"{name} 1.0 has PYSEC-2026-4 (medium); take 2.0 or later"
    url = f"{nginx.mirror.url}/company/dev/+why/{name}"
    found = requests.get(url, headers={"Accept": "application/json"}, timeout=30).json()["result"]["files"]
    assert [
        (file["filename"], file["allowed"], file.get("reported", "")[: len(words)]) for file in found
    ] == [
        (old.filename, True, words),
        (new.filename, True, ""),
    ]
    assert words in requests.get(url, timeout=30).text
    run = mirrored.mirror.run
    assert f"listed, but reported: {words}" in run(BIN / "mirror", "why", name).stdout
    assert f"1 reported by vulnerabilities: {words}" in run(BIN / "mirror", "policy", "--log").stdout
    assert "of severity low or more are reported" in run(BIN / "mirror", "policy").stdout
    log = run(BIN / "mirror", "audit-log", "--action", "list", "--project", name, "--json").stdout
    events = [json.loads(line) for line in log.splitlines()]
    assert {(event["result"], event["rule"], event["detail"]) for event in events} == {
        ("reported", "vulnerabilities", words)
    }
    assert {event["index"] for event in events} == {"company/dev"}
    assert old.filename in {event["file"] for event in events}


def test_anybody_may_ask_what_is_affected(mirrored: Mirrored, tmp_path: Path) -> None:
    """As `release build` does; what mirror.toml ignores is not said."""
    name, ignored = new_name("locked"), new_name("locked")
    bring(mirrored, tmp_path, ("PYSEC-2026-3", name, "LOW"), ("PYSEC-2026-9", ignored, "LOW"))
    answer = requests.get(
        f"{mirrored.mirror.url}/+advisories",
        params={"package": [f"{name}==1.0", f"{ignored}==1.0", f"{name}==2.0"]},
        timeout=30,
    )
    (found,) = answer.json()["result"]["affected"]
    assert (found["name"], found["id"], found["fixed_in"]) == (name, "PYSEC-2026-3", "2.0")
    for wrong in ("", "?package=demo", f"?{'&'.join(['package=a==1'] * 201)}"):
        assert requests.get(f"{mirrored.mirror.url}/+advisories{wrong}", timeout=30).status_code == 400
    assert requests.post(f"{mirrored.mirror.url}/+advisories", timeout=30).status_code in {401, 405}

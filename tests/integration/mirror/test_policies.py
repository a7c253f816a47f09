"""Policies on a real mirror, asked directly and through nginx: pages, files, metadata, reasons, attacks."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.support.dists import Dist, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.nginx_front import through
from tests.support.release_command import refused
from tests.support.servers import BIN, wait_until
from tests.support.upstream import Listed, Upstream

pytestmark = pytest.mark.needs("nginx")

SETTINGS = """
policy.deny = ["evil-*", "patched==1.2"]
policy.hide_yanked = true
policy.minimum_age = "7d"
policy.exempt = ["exempt-*"]
policy.look_alikes = "deny"
reserved = ["acme-billing"]
[indexes."company/prod".policy]
sdists = ["source"]
deny = ["prod-never"]
"""


JSON = {"Accept": "application/json"}  # for which devpi has views of its own


@pytest.fixture(scope="module")
def mirrored(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    """A mirror with policies, and nginx in front of it."""
    with fronted_mirror(upstream, port, SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(mirrored: Mirrored, port: int) -> Mirrored:
    """The same mirror, asked through nginx."""
    return through(port, mirrored)


def listed(server: Mirrored, project: str, index: str = "company/dev") -> list[str]:
    return [file["filename"] for file in server.page(project, index)["files"]]


def status(server: Mirrored, url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    answer = requests.get(urljoin(server.mirror.url, url), headers=headers, timeout=30)
    return answer.status_code, answer.text


def address(dist: Dist, index: str) -> str:
    return f"/{index}/+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}"


def why(server: Mirrored, project: str, index: str = "company/dev") -> Any:  # noqa: ANN401 (JSON)
    url = f"{server.mirror.url}/{index}/+why/{project}"
    return requests.get(url, headers={"Accept": "application/json"}, timeout=30).json()["result"]


def test_the_provenance_of_a_denied_file_is_denied_too(mirrored: Mirrored, tmp_path: Path) -> None:
    """Of uploads it was served, and of no file was the denial recorded."""
    own, cached = wheel(new_name("evil-own"), "1.0"), wheel(new_name("evil-cached"), "1.0")
    (tmp_path / own.filename).write_bytes(own.content)
    mirrored.upload(tmp_path / own.filename)
    mirrored.upstream.add(cached.filename.partition("-")[0].replace("_", "-"), cached)
    for dist, index in ((own, "company/dev"), (cached, "root/pypi")):
        assert status(mirrored, f"{address(dist, index)}.provenance")[0] == 403
        shown = mirrored.mirror.run(BIN / "mirror", "audit-log", "--denied", "--json").stdout
        event = json.loads(shown.splitlines()[-1])
        assert [event[key] for key in ("action", "rule", "file")] == ["download", "deny", dist.filename]


@contextmanager
def changed_policy(mirrored: Mirrored, lines: str) -> Iterator[None]:
    """Within the block, mirror.toml has these policies of all indexes instead of its own."""
    path = mirrored.mirror.home / "mirror.toml"
    before = path.read_text()
    kept = [line for line in before.splitlines() if not line.startswith("policy.")]
    try:
        for text in ("\n".join([lines, *kept]), before):
            path.write_text(text)
            mirrored.mirror.run(BIN / "mirror", "init", cwd=mirrored.mirror.home)
            if text is not before:
                yield
    finally:
        path.write_text(before)


@pytest.fixture(params=["directly", "through nginx"])
def server(request: pytest.FixtureRequest, mirrored: Mirrored, nginx: Mirrored) -> Mirrored:
    return mirrored if request.param == "directly" else nginx


def test_a_denied_file_is_on_no_page_and_at_no_address(server: Mirrored, upstream: Upstream) -> None:
    """Neither it nor its metadata, on every index of the chain, under every spelling of its name."""
    name = new_name("evil-")
    dist = wheel(name, "1.0")
    upstream.add(name, dist)
    for index in ("root/pypi", "company/prod", "company/dev"):
        assert listed(server, name, index) == []
        for url in (address(dist, index), address(dist, index) + ".metadata"):
            code, text = status(server, url)
            assert (code, f"/{index}/+why/{name}" in text, "evil-*" in text) == (403, True, True), url
        for url in (f"/{index}/{name}", f"/{index}/{name}/1.0"):
            code, text = status(server, url, JSON)
            assert (code, dist.filename in text) == (200, False), url
        code, text = status(server, address(dist, index), JSON)
        assert (code, upstream.url in text) == (403, False)
    assert listed(server, name.replace("-", "."), "company/dev") == []
    assert listed(server, name.upper().replace("-", "_"), "company/dev") == []


def test_a_version_is_denied_and_the_others_are_listed(server: Mirrored, upstream: Upstream) -> None:
    """Also on the list of versions, which tools read that look for updates."""
    if "patched" not in upstream.projects:
        upstream.add("patched", wheel("patched", "1.1"), wheel("patched", "1.2"), sdist("patched", "1.2"))
    page = server.page("patched", "root/pypi")
    assert [file["filename"] for file in page["files"]] == ["patched-1.1-py3-none-any.whl"]
    assert page["versions"] == ["1.1"]
    assert page["meta"]["_withheld"] == 2
    assert {file["rule"] for file in why(server, "patched")["files"] if not file["allowed"]} == {"deny"}


def test_a_file_of_a_denied_project_is_not_served_from_the_page_of_another(
    server: Mirrored, upstream: Upstream
) -> None:
    """Even if that one's name begins like its own: rules for the one would not be asked about the other."""
    name = new_name("plain")
    good = [wheel(name, "1.0"), sdist(name, "1.0")]
    evil = [wheel(f"{name}-evil", "1.0"), sdist(f"{name}-evil", "1.0")]
    upstream.add(name, *good, *evil)
    assert set(listed(server, name, "root/pypi")) == {dist.filename for dist in good}
    for dist in evil:
        code, text = status(server, address(dist, "root/pypi"))
        assert (code, f"is not named as a file of {name}" in text) == (403, True)


def test_a_file_that_is_here_is_not_served_once_it_is_denied(
    server: Mirrored, mirrored: Mirrored, upstream: Upstream
) -> None:
    """nginx sends files from the disk without a question: a new policy must hold for them at once."""
    name = new_name("later")
    dist = wheel(name, "1.0")
    upstream.add(name, dist)
    urls = [
        address(dist, index) + end for index in ("root/pypi", "company/prod") for end in ("", ".metadata")
    ]
    for _ in range(2):  # the second time by nginx
        assert [status(server, url)[0] for url in urls] == [200] * 4
    assert listed(server, name) == [dist.filename]
    with changed_policy(mirrored, f'policy.deny = ["{name}"]'):
        assert [status(server, url)[0] for url in urls] == [403] * 4
        assert listed(server, name) == []
    assert [status(server, url)[0] for url in urls] == [200] * 4
    assert listed(server, name) == [dist.filename]


def test_a_file_of_a_project_that_is_quarantined_or_yanked_later_is_not_served(
    server: Mirrored, mirrored: Mirrored, upstream: Upstream
) -> None:
    """Its page says so after a refresh; the file is on the disk, and nginx has sent it before."""
    quarantined, yanked = new_name("quarantined"), new_name("yanked")
    dists = {name: wheel(name, "1.0") for name in (quarantined, yanked)}
    for name, dist in dists.items():
        upstream.add(name, dist)
        for _ in range(2):
            assert status(server, address(dist, "company/prod"))[0] == 200
    upstream.projects[quarantined].status = {"status": "quarantined", "reason": "<script>malware</script>"}
    upstream.projects[yanked].files = [Listed(dists[yanked], yanked="<b>broken</b>")]
    for name, dist in dists.items():
        mirrored.refresh(name)
        code, text = status(server, address(dist, "company/prod"))
        assert code == 403
        assert ("malware" if name == quarantined else "broken") in text
        assert listed(server, name) == []


def test_a_young_file_is_listed_when_it_is_old_enough(server: Mirrored, upstream: Upstream) -> None:
    """The page changes by itself, also the one that nginx serves; `exempt` is for what must be new."""
    name, exempt = new_name("young"), new_name("exempt-")
    almost = (datetime.now(UTC) - timedelta(days=7) + timedelta(seconds=4)).isoformat()
    old, young = wheel(name, "1.0"), wheel(name, "1.1")
    upstream.add(name, old, Listed(young, upload_time=almost))
    upstream.add(exempt, Listed(wheel(exempt, "1.0"), upload_time=almost))
    assert listed(server, name) == [old.filename]
    code, text = status(server, address(young, "root/pypi"))
    assert (code, "rule minimum_age" in text, "not yet 7d old" in text) == (403, True, True)
    assert len(listed(server, exempt)) == 1
    asked = len(upstream.requests)
    wait_until("the file is old enough", lambda: listed(server, name) == [old.filename, young.filename])
    assert status(server, address(young, "root/pypi"))[0] == 200
    assert not [seen for seen in upstream.requests[asked:] if seen.path.startswith("/simple/")]


def test_a_file_that_appears_with_an_old_date_is_young(
    server: Mirrored, mirrored: Mirrored, upstream: Upstream
) -> None:
    """An upstream that was taken over back-dates what it adds. A restart forgets nothing."""
    name = new_name("backdated")
    old, backdated = wheel(name, "1.0"), wheel(name, "1.1")
    upstream.add(name, Listed(old, upload_time="2020-01-01T00:00:00Z"))
    assert listed(server, name) == [old.filename]
    upstream.add(name, Listed(backdated, upload_time="2020-01-01T00:00:00Z"))
    mirrored.refresh(name)
    for _ in range(2):
        assert listed(server, name) == [old.filename]
        assert status(server, address(backdated, "root/pypi"))[0] == 403
        (young,) = (file for file in why(server, name)["files"] if not file["allowed"])
        assert (young["rule"], young["version"]) == ("minimum_age", "1.1")
        mirrored.mirror.run(BIN / "mirror", "stop")
        mirrored.mirror.run(BIN / "mirror", "serve", "--background", cwd=mirrored.mirror.home)


def test_a_look_alike_of_our_own_name_is_denied_and_reported(
    server: Mirrored, mirrored: Mirrored, upstream: Upstream
) -> None:
    """A typing error away from a name that is reserved."""
    for name in ("acme-biling", "billing-acme", "acmebilling"):
        if name not in upstream.projects:
            upstream.add(name, wheel(name, "1.0"))
        assert listed(server, name) == []
        assert f"{name} looks like acme-billing" in " ".join(why(server, name)["notes"])
    run = mirrored.mirror.run
    assert (
        "acme-biling looks like acme-billing"
        in run(BIN / "mirror", "policy", cwd=mirrored.mirror.home).stdout
    )
    later = new_name("later-acme")
    upstream.add(later, wheel(later, "1.0"))
    assert len(listed(server, later)) == 1
    run(BIN / "mirror", "reserve", f"{later}x", cwd=mirrored.mirror.home)
    wait_until("the new name has look-alikes", lambda: listed(server, later) == [])
    log = run(BIN / "mirror", "policy", "--log", cwd=mirrored.mirror.home).stdout
    assert log.count("company/dev  acmebilling: 1 denied by look_alikes") == 1


def test_what_nobody_has_is_explained(server: Mirrored) -> None:
    """No rule is in the way, and installers find nothing."""
    said = server.mirror.run(BIN / "mirror", "why", new_name("nobody"), status=1).stdout
    assert "none of its indexes has it: company/dev, company/prod, root/pypi" in said


def test_the_reason_is_for_people_and_runs_no_script(server: Mirrored, upstream: Upstream) -> None:
    """An upstream wrote the reason of the yank, somebody else the address."""
    name = new_name("script")
    upstream.add(name, Listed(wheel(name, "1.0"), yanked="<script>alert(1)</script>\x1b[2J"))
    answer = requests.get(f"{server.mirror.url}/company/dev/+why/{name}", timeout=30)
    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for project in ("%3Cscript%3E", "x" * 300):
        refused = requests.get(f"{server.mirror.url}/company/dev/+why/{project}", timeout=30)
        assert refused.status_code in {400, 404}
        assert "<script" not in refused.text


def test_mirror_why_says_which_rule(mirrored: Mirrored, upstream: Upstream) -> None:
    """Its exit status tells scripts; nothing that an upstream wrote steers the terminal."""
    name = new_name("asked")
    upstream.add(name, wheel(name, "1.0"), Listed(wheel(name, "2.0"), yanked="\x1b[2Jbroken"))
    run, home = mirrored.mirror.run, mirrored.mirror.home
    assert "1 files are listed, 1 are not" in run(BIN / "mirror", "why", name, cwd=home).stdout
    only = run(BIN / "mirror", "why", f"{name}==2.0", cwd=home, status=1).stdout
    assert "policy of all indexes, rule hide_yanked" in only
    assert "?[2Jbroken" in only


def test_an_index_adds_rules_to_those_below_it(server: Mirrored, upstream: Upstream) -> None:
    """Its pages lead to addresses of its own, at which its rules hold."""
    name = new_name("strict")
    whl, tar = wheel(name, "1.0"), sdist(name, "1.0")
    upstream.add(name, whl, tar)
    assert len(listed(server, name, "root/pypi")) == 2
    for index in ("company/prod", "company/dev"):
        assert listed(server, name, index) == [whl.filename]
        assert f"/{index}/+f/" in server.url_of(whl, index)
        assert status(server, server.url_of(whl, index))[0] == 200
        code, text = status(server, address(tar, index))
        assert (code, "policy of company/prod, rule sdists" in text) == (403, True)
        code, text = status(server, f"/{index}/{name}", JSON)
        assert (code, address(whl, index) in text, tar.filename in text) == (200, True, False)
    assert status(server, address(tar, "root/pypi"))[0] == 200, "an address is judged by the index in it"


def test_own_uploads_are_judged_by_deny_lists_alone(
    mirrored: Mirrored, nginx: Mirrored, tmp_path: Path
) -> None:
    """An sdist of our own is ours; a release that turned out bad is denied like any other."""
    own, bad = sdist(new_name("own"), "1.0"), wheel("prod_never", "1.0")
    for dist in (own, bad):
        (tmp_path / dist.filename).write_bytes(dist.content)
        mirrored.upload(tmp_path / dist.filename, "company/prod")
    for server in (mirrored, nginx):
        assert listed(server, own.filename.partition("-")[0]) == [own.filename]
        assert status(server, address(own, "company/prod"))[0] == 200
        assert listed(server, "prod-never") == []
        assert [status(server, address(bad, index))[0] for index in ("company/prod", "company/dev")] == [
            403
        ] * 2


def test_clients_install_what_is_allowed(mirrored: Mirrored, nginx: Mirrored, upstream: Upstream) -> None:
    """pip and uv take the newest version that is listed; pip says why a file that a lock names is refused."""
    name = new_name("evil-")
    upstream.add(name, wheel(name, "1.0"))
    needs = new_name("needs")
    upstream.add(needs, wheel(needs, "1.0"), Listed(wheel(needs, "2.0"), yanked=True))
    venv = mirrored.mirror.home / "venv"
    run = mirrored.mirror.run
    run(sys.executable, "-m", "venv", "--clear", venv)
    index = ("--index-url", nginx.mirror.index_url("company/dev"))
    run(venv / "bin" / "pip", "install", "--no-cache-dir", *index, needs)
    run(
        BIN / "uv",
        "pip",
        "install",
        "--no-cache",
        "--reinstall",
        "--python",
        venv / "bin" / "python",
        *index,
        needs,
    )
    command = (venv / "bin" / "pip", "install", "--no-cache-dir", *index, name)
    refused = run(*command, status=1).stderr
    assert "No matching distribution" in refused


def test_release_names_the_dependency_that_a_policy_hides(
    mirrored: Mirrored, upstream: Upstream, tmp_path: Path
) -> None:
    """uv sees a project without files, and advises to bring what is missing to the index."""
    hidden, needs = new_name("evil-"), new_name("hides")
    upstream.add(hidden, wheel(hidden, "1.0"))
    upstream.add(needs, wheel(needs, "1.0", requires=[hidden]))
    text = f'[project]\nname = "app"\nversion = "1"\ndependencies = ["{needs}"]\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    index = f"{mirrored.mirror.url}/company/dev"
    said = refused(mirrored.mirror, tmp_path, "lock", RELEASE_INDEX=index)
    assert f"Error: {hidden} is withheld by the rule deny on {index}: 1 of 1 files." in said
    assert f"Look: {index}/+why/{hidden}, or `mirror why {hidden}`" in said
    assert f"there are no versions of {hidden}" in said, "which is what uv said"

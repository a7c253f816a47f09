"""Licenses and provenance on a real mirror: pages wait for what is not known, and list nothing else."""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.support import faults
from tests.support.dists import Dist, sdist, wheel
from tests.support.faults import Answer
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.nginx_front import through
from tests.support.servers import BIN, wait_until
from tests.support.upstream import Listed, Upstream

pytestmark = pytest.mark.needs("nginx")

ATTESTED = Path(__file__).parents[2] / "support" / "attested"
WHEEL = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
PROJECT = "circleci-sign-publish-example"
SDIST, SDIST_SHA256 = (
    "pypi_attestations-0.0.19.tar.gz",
    "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3",
)
OWNER = '{kind = "GitHub", repository = "trailofbits/pypi-attestations"}'
SETTINGS = f"""
policy.require_provenance = [
  "{PROJECT}",
  "attested-*",
  {{project = "pypi-attestations", publisher = {OWNER}}},
]
policy.licenses.allow = ["MIT", "Apache-2.0", "BSD-*"]
policy.licenses.deny = ["BSD-4-*"]
policy.licenses.exempt = ["exempt-*", "{PROJECT}", "attested-*", "pypi-attestations"]
"""


@pytest.fixture(scope="module")
def mirrored(upstream: Upstream, port: int) -> Iterator[Mirrored]:
    """A mirror with both rules, and nginx in front of it."""
    with fronted_mirror(upstream, port, SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(mirrored: Mirrored, port: int) -> Mirrored:
    """The same mirror, asked through nginx."""
    return through(port, mirrored)


@pytest.fixture(params=["directly", "through nginx"])
def server(request: pytest.FixtureRequest, mirrored: Mirrored, nginx: Mirrored) -> Mirrored:
    return mirrored if request.param == "directly" else nginx


def listed(server: Mirrored, project: str) -> list[str]:
    return [file["filename"] for file in server.page(project, "company/dev")["files"]]


def ask(server: Mirrored, dist: Dist, end: str = "", index: str = "company/dev") -> tuple[int, str]:
    address = f"/{index}/+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}{end}"
    answer = requests.get(urljoin(server.mirror.url, address), timeout=30)
    return answer.status_code, answer.text


def reason(server: Mirrored, project: str) -> set[str]:
    url = f"{server.mirror.url}/company/dev/+why/{project}"
    found = requests.get(url, headers={"Accept": "application/json"}, timeout=30).json()["result"]["files"]
    return {file["reason"] for file in found if not file["allowed"]}


def licensed(name: str, version: str, *lines: str) -> Dist:
    headers = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, "", ""]
    return wheel(name, version, stated_metadata="\n".join(headers).encode())


def test_only_files_with_an_allowed_license_are_listed_and_served(server: Mirrored) -> None:
    """The first answer is right: the page waits until metadata of its first and last wheel are read."""
    good, bad, none = new_name("good"), new_name("bad"), new_name("none")
    fine = licensed(good, "1.0", "License-Expression: MIT OR AGPL-3.0-only")
    wrong = licensed(bad, "1.0", "License-Expression: MIT AND AGPL-3.0-only")
    silent = licensed(none, "1.0")
    for name, dist in ((good, fine), (bad, wrong), (none, silent)):
        server.upstream.add(name, dist)
    assert [listed(server, name) for name in (good, bad, none)] == [[fine.filename], [], []]
    assert ask(server, fine)[0] == ask(server, fine, ".metadata")[0] == 200
    for dist, words in ((wrong, "has the license MIT AND AGPL-3.0-only"), (silent, "has no license")):
        for end in ("", ".metadata"):
            status, text = ask(server, dist, end)
            assert (status, words in text, "rule licenses" in text) == (403, True, True)
    assert "not allowed here" in server.mirror.run(BIN / "mirror", "why", bad, status=1).stdout
    assert (
        "of these licenses alone: MIT, Apache-2.0, BSD-*"
        in server.mirror.run(BIN / "mirror", "policy").stdout
    )
    legacy = requests.get(f"{server.mirror.url}/company/dev/{bad}/json", timeout=30)
    assert wrong.filename not in legacy.text


def test_a_project_that_changed_its_license_lists_what_is_allowed_and_reads_little(server: Mirrored) -> None:
    """Of 64 versions some metadata are read: where the license changed. A file that is asked for, by its own.

    The old one with another license than those around it is listed until somebody asks for it.
    """
    name = new_name("relicensed")
    mit, agpl = (
        "License-Expression: MIT",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
    )
    dists = [licensed(name, f"1.{minor}", mit if minor < 40 and minor != 5 else agpl) for minor in range(64)]
    server.upstream.add(name, *dists)
    server.upstream.forget()
    wait_until("the change is found", lambda: len(listed(server, name)) == 40)
    assert listed(server, name) == [dist.filename for dist in dists[:40]]
    metadata = [seen for seen in server.upstream.requests if seen.path.endswith(".metadata")]
    assert len(metadata) <= 10
    assert ask(server, dists[5], ".metadata")[0] == 403
    wait_until("the page follows", lambda: dists[5].filename not in listed(server, name))
    assert ask(server, dists[6])[0] == 200


def test_metadata_that_are_denied_are_in_no_legacy_document(server: Mirrored) -> None:
    """Of the newest version none are read before, as it is neither the first nor the last on the page."""
    name = new_name("between")
    summary = "Summary: between the lines"
    wrong = licensed(name, "3.0", "License-Expression: AGPL-3.0-only", summary)
    fine = [licensed(name, version, "License-Expression: MIT", summary) for version in ("1.0", "2.0")]
    server.upstream.add(name, fine[0], wrong, fine[1])
    assert wrong.filename in listed(server, name)
    legacy = f"{server.mirror.url}/company/dev/{name}"
    whole = requests.get(f"{legacy}/json", timeout=30)
    assert (whole.status_code, "between the lines" in whole.text) == (200, False)
    log = server.mirror.run(BIN / "mirror", "audit-log", "--denied", "--project", name).stdout
    assert wrong.filename not in log  # nothing was denied to who got the document
    one = requests.get(f"{legacy}/3.0/json", timeout=30)
    assert (one.status_code, "between the lines" in one.text) in {(403, False), (404, False)}
    assert requests.get(f"{legacy}/2.0/json", timeout=30).json()["info"]["summary"] == "between the lines"
    wait_until("the page follows", lambda: wrong.filename not in listed(server, name))
    assert requests.get(f"{legacy}/json", timeout=30).json()["info"]["version"] == "2.0"


def test_a_wheel_with_another_license_than_its_metadata_file_said_is_not_served_again(
    server: Mirrored,
) -> None:
    """An upstream's metadata file cannot be checked before the wheel is here."""
    name = new_name("lying")
    true = licensed(name, "1.0", "License-Expression: AGPL-3.0-only")
    lie = licensed(name, "1.0", "License-Expression: MIT").metadata
    server.upstream.add(name, Dist(true.filename, true.content, lie))
    assert listed(server, name) == [true.filename]
    ask(server, true)
    wait_until("it is denied", lambda: ask(server, true)[0] == 403)
    wait_until("the page follows", lambda: listed(server, name) == [])


def test_a_client_that_asks_for_many_projects_leaves_threads_to_others(mirrored: Mirrored) -> None:
    """None of its metadata arrives; who comes after it waits neither behind its projects nor for a thread."""
    crowd, calm = new_name("crowd"), new_name("calm")
    dists = [licensed(f"{crowd}-{number}", "1.0", "License-Expression: MIT") for number in range(100)]
    for number, dist in enumerate(dists):
        mirrored.upstream.add(f"{crowd}-{number}", dist)
    fine = licensed(calm, "1.0", "License-Expression: MIT")
    mirrored.upstream.add(calm, fine)
    gate = threading.Event()
    mirrored.upstream.fail(f"/files/{crowd}*", faults.held(gate))

    def page(client: str, name: str) -> requests.Response:
        url = f"{mirrored.mirror.url}/company/dev/+simple/{name}/"
        return requests.get(url, headers={"X-Real-IP": client}, timeout=60)

    with ThreadPoolExecutor(len(dists)) as threads:
        try:
            asked = [threads.submit(page, "192.0.2.1", f"{crowd}-{number}") for number in range(len(dists))]
            # The others are refused when so many wait as may (UpstreamClient.slot).
            wait_until("they wait", lambda: sum(each.done() for each in asked) >= 15)
            answer = page("192.0.2.2", calm)
            assert (answer.status_code, fine.filename in answer.text) == (200, True), answer.text
        finally:
            gate.set()
            mirrored.upstream.heal()


def test_what_no_metadata_tells_is_denied_or_exempt(server: Mirrored) -> None:
    """Of an sdist nobody reads any; a project may be exempt."""
    name, exempt = new_name("source"), new_name("exempt-")
    server.upstream.add(name, sdist(name, "1.0"))
    server.upstream.add(exempt, sdist(exempt, "1.0"))
    assert listed(server, name) == []
    assert ask(server, server.upstream.projects[name].files[0].dist)[0] == 403
    assert len(listed(server, exempt)) == 1


def test_an_upstream_that_gives_no_metadata_now_lets_nothing_in(server: Mirrored) -> None:
    """It may be a moment later; the reason is shown meanwhile, and nobody is served."""
    name = new_name("silent")
    dist = licensed(name, "1.0", "License-Expression: MIT")
    server.upstream.add(name, dist)
    server.upstream.fail("/files/*", faults.status(503))
    try:
        assert listed(server, name) == []
        (words,) = reason(server, name)
        assert "could not be fetched" in words
        assert ask(server, dist)[0] == 403
    finally:
        server.upstream.heal()


def denials(mirrored: Mirrored) -> dict[str, float]:
    """How many the metrics count, by rule."""
    text = requests.get(f"{mirrored.mirror.url}/+metrics", timeout=30).text
    start = 'packhorse_mirror_denials_total{rule="'
    lines = [line.removeprefix(start) for line in text.splitlines() if line.startswith(start)]
    return {rule: float(count) for rule, count in (line.split('"} ') for line in lines)}


def test_files_that_are_denied_are_counted_by_rule(mirrored: Mirrored) -> None:
    """An administrator sees which rule is in the way of many; both rules deny what nobody knows, too."""
    licenses, provenance = new_name("counted"), new_name("attested-")
    wrong = licensed(licenses, "1.0", "License-Expression: AGPL-3.0-only")
    bare = wheel(provenance, "1.0")
    mirrored.upstream.add(licenses, wrong)
    mirrored.upstream.add(provenance, bare)
    before = denials(mirrored)
    assert [listed(mirrored, name) for name in (licenses, provenance)] == [[], []]
    assert denials(mirrored) == before, "a page is no denial: nobody asked for the file"
    assert [ask(mirrored, dist)[0] for dist in (wrong, wrong, bare)] == [403] * 3
    after = denials(mirrored)
    more = {rule: count - before.get(rule, 0) for rule, count in after.items() if count != before.get(rule)}
    assert more == {"licenses": 2, "require_provenance": 1}
    shown = mirrored.mirror.run(BIN / "mirror", "status").stdout
    assert f"{after['licenses']:.0f} by licenses" in shown


def attested(name: str) -> bytes:
    return (ATTESTED / f"{name}.provenance").read_bytes()


def offer(upstream: Upstream, dist: Dist, provenance: bytes | None, *, sha256: str = "") -> str:
    """List a file with the address of a provenance, at which that is; the path of the address."""
    path = f"/integrity/{dist.filename}"
    stated = {"sha256": sha256 or dist.sha256}
    project = dist.filename.partition("-")[0]
    upstream.add(project, Listed(dist, provenance=urljoin(upstream.url, path), hashes=stated))
    if provenance is not None:
        upstream.fail(path, lambda _: Answer(200, {"Content-Type": "application/json"}, provenance))
    return path


def test_a_file_whose_attestations_verify_is_listed_and_installed(
    mirrored: Mirrored, nginx: Mirrored
) -> None:
    """A real wheel with its real provenance, verified once, and nobody is asked but the upstream."""
    content = (ATTESTED / WHEEL).read_bytes()
    dist = Dist(WHEEL, content, b"")
    path = offer(mirrored.upstream, dist, attested(WHEEL))
    try:
        for server in (mirrored, nginx):
            assert listed(server, PROJECT) == [WHEEL]
            for _ in range(2):
                assert ask(server, dist)[0] == 200
        mirrored.restart()
        assert listed(mirrored, PROJECT) == [WHEEL]
        assert mirrored.upstream.count(path) == 1
        shown = mirrored.mirror.run(BIN / "mirror", "policy").stdout
        assert "pypi-attestations of GitHub trailofbits/pypi-attestations" in shown
        (records,) = mirrored.mirror.home.rglob("+evidence")
        shutil.rmtree(records)
        mirrored.restart()
        assert ask(mirrored, dist)[0] == 200, "without its page: the newest file on that is verified"
        assert mirrored.upstream.count(path) == 1, "the object itself is kept"
        newer = Dist(WHEEL.replace("dev137", "dev138"), b"", b"")
        offer(mirrored.upstream, newer, attested(WHEEL))
        mirrored.refresh(PROJECT)
        assert listed(mirrored, PROJECT) == [WHEEL]
        (words,) = reason(mirrored, PROJECT)
        assert "does not verify" in words
    finally:
        mirrored.upstream.heal()


def test_a_file_of_the_publisher_that_mirror_toml_names_is_listed(server: Mirrored) -> None:
    """Any workflow of its repository, as none is named."""
    project = "pypi-attestations"
    if project not in server.upstream.projects:
        offer(server.upstream, Dist(SDIST, b"", b""), attested(SDIST), sha256=SDIST_SHA256)
    assert listed(server, project) == [SDIST]


def tampered(text: bytes, what: str) -> bytes | None:
    found: dict[str, Any] = json.loads(text)
    (bundle,) = found["attestation_bundles"]
    if what == "signature":
        bundle["attestations"][0]["envelope"]["signature"] = "MEUCIQC+AAAA"
    elif what == "publisher":
        bundle["publisher"]["repository"] = "acme/demo"
    elif what == "no bundle":
        found["attestation_bundles"] = []
    elif what == "garbage":
        return b"\x00[" * 1000
    elif what == "huge":
        return b"[" + b" " * 2_000_000 + b"]"
    elif what == "missing":
        return None
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("signature", "does not verify: "),
        ("publisher", "does not verify: Verification failed: Certificate"),
        ("no bundle", "has no attestation of a publisher"),
        ("garbage", "is none: "),
        ("huge", "gives more than 1000000 bytes"),
        ("missing", "answered 404"),
        ("another file", "does not verify: Verification failed: subject does not match"),
        ("hangs", "could not be fetched: the upstream does not answer"),
        ("not offered", "the upstream has no provenance of"),
    ],
)
def test_a_file_whose_provenance_proves_nothing_is_neither_listed_nor_served(
    server: Mirrored, what: str, words: str
) -> None:
    """+why says what is wrong, and so does the answer to whoever asks for the file."""
    project = new_name("attested-")
    filename = f"{project.replace('-', '_')}-1.0.tar.gz"
    dist = Dist(filename, what.encode(), b"")
    provenance = tampered(attested(SDIST), what) if what != "not offered" else None
    if what == "not offered":
        server.upstream.add(project, dist)
    else:
        path = offer(server.upstream, dist, provenance)
        if what == "hangs":
            server.upstream.fail(path, faults.hang())
    try:
        assert listed(server, project) == []
        (found,) = reason(server, project)
        assert words in found
        status, text = ask(server, dist)
        assert (status, words in text, "rule require_provenance" in text) == (403, True, True)
        done = server.mirror.run(
            *(sys.executable, "-Im", "pip", "download", "--no-deps", "--index-url"),
            *(server.mirror.index_url("company/dev"), "-d", server.mirror.home / "none", project),
            status=1,
        )
        assert "No matching distribution" in done.stderr
    finally:
        server.upstream.heal()

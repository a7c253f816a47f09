"""Uploads and yanks that are unusual: other spellings, odd reasons, names without end, a hundred at once."""

import hashlib
import html
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from mirror.plugin.uploads import attestations
from tests.support.dists import Dist, attestation, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN, wait_until
from tests.support.team_indexes import Team, new_team


@pytest.fixture
def team(mirrored: Mirrored) -> Team:
    """Indexes of the test's own."""
    return new_team(mirrored)


def test_all_spellings_of_a_name_are_one_project(team: Team) -> None:
    """Who writes My.Odd_Pkg in pyproject.toml is found by those who write my-odd-pkg."""
    dists = [
        wheel(name, f"{number}.0") for number, name in enumerate(["My.Odd_Pkg", "my-odd-pkg", "MY_ODD.PKG"])
    ]
    for dist in dists:
        team.upload(dist)
    assert team.shown("my-odd-pkg") == sorted(dist.filename for dist in dists)
    assert team.mirrored.page("my-odd-pkg", team.index("dev"))["name"] == "my-odd-pkg"


def test_a_yank_is_of_all_spellings_of_the_version(team: Team) -> None:
    """devpi keeps 1.0 and 1.0.0 apart, installers do not."""
    files = [wheel("own", "1.0.0"), sdist("own", "1.0"), wheel("own", "2.0")]
    for dist in files:
        team.upload(dist)
    team.call("PUT", f"{team.index('dev')}/own/1.0/+yank")
    assert [team.file("own", dist.filename)["yanked"] for dist in files] == [True, True, False]
    team.call("DELETE", f"{team.index('dev')}/own/1/+yank")
    assert [team.file("own", dist.filename)["yanked"] for dist in files] == [False, False, False]


def test_a_yank_is_among_the_reasons(team: Team) -> None:
    """Of a file that is listed, and that installers do not choose."""
    team.upload(wheel("own", "1.0"))
    team.call("PUT", f"{team.index('dev')}/own/1.0/+yank", json={"reason": "it <b>burns</b>"})
    said = team.mirrored.mirror.run(BIN / "mirror", "why", "own", "--index", team.index("dev")).stdout
    assert "1.0 is yanked: installers take it only when it is asked for: it <b>burns</b>" in said
    page = requests.get(f"{team.mirrored.mirror.url}/{team.index('dev')}/+why/own", timeout=30).text
    assert "is yanked: it &lt;b&gt;burns" in page


@pytest.mark.parametrize(
    "reason",
    [
        "two\nlines",
        "line\r\nSet-Cookie: x=1",
        "<script>alert(1)</script> & \"both\" 'quotes'",
        "\u2028 \U0001f600 ü",
        "\\ \\n \t",
        "x" * 10_000,
    ],
)
def test_a_reason_may_be_any_text(team: Team, reason: str) -> None:
    """It is shown as it was given, and as nothing else."""
    dist = wheel("own", "1.0")
    team.upload(dist)
    answer = team.call("PUT", f"{team.index('dev')}/own/1.0/+yank", json={"reason": reason})
    assert "Set-Cookie" not in answer.headers
    assert team.file("own", dist.filename)["yanked"] == reason
    url = f"{team.mirrored.mirror.index_url(team.index('dev'))}own/"
    page = requests.get(url, timeout=30)
    assert "<script>" not in page.text
    (shown,) = re.findall(r'data-yanked="([^"]*)"', page.content.decode())
    assert html.unescape(shown) == reason
    assert team.shown("own") == [dist.filename]


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b'{"reason": 7}'])
def test_what_is_no_reason_is_refused(team: Team, body: bytes) -> None:
    """And yanks nothing."""
    dist = wheel("own", "1.0")
    team.upload(dist)
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/own/1.0/+yank"
    assert requests.put(url, data=body, auth=(team.name, "pw"), timeout=30).status_code == 400
    assert team.file("own", dist.filename)["yanked"] is False


def test_a_name_that_no_disk_takes_is_refused_and_nothing_is_kept(team: Team) -> None:
    """As the uploader's mistake, not as a fault of the server."""
    name, url = "a" * 250, f"{team.mirrored.mirror.url}/{team.index('dev')}/"
    form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": "1.0"}
    files = {"content": (f"{name}-1.0.tar.gz", b"content")}
    refused = requests.post(url, data=form, files=files, auth=(team.name, "pw"), timeout=30)
    assert refused.status_code == 400
    assert "the file has a name that no distribution can have" in refused.reason
    assert team.shown(name) == ["404"]
    team.upload(wheel("own", "1.0"))
    assert team.shown("own") == [wheel("own", "1.0").filename]


def test_a_hundred_uploads_at_once_all_arrive(team: Team) -> None:
    """A release of many wheels, by many jobs of a build."""
    of_one = [wheel("own", f"{number}.0") for number in range(50)]
    of_many = [wheel(f"own{number}", "1.0") for number in range(50)]
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(team.upload, of_one + of_many))
    assert team.shown("own") == sorted(dist.filename for dist in of_one)
    for number, dist in enumerate(of_many):
        (listed,) = team.mirrored.page(f"own{number}", team.index("dev"))["files"]
        assert listed["hashes"] == {"sha256": dist.sha256}


@pytest.mark.parametrize(
    ("field", "digest"),
    [
        ("sha256_digest", hashlib.sha256),
        ("md5_digest", lambda content: hashlib.md5(content, usedforsecurity=False)),
        ("blake2_256_digest", lambda content: hashlib.blake2b(content, digest_size=32)),
    ],
)
def test_a_file_that_was_cut_on_its_way_does_not_replace_the_good_one(
    team: Team, field: str, digest: Callable[[bytes], Any]
) -> None:
    """The form has the digest of the whole file."""
    good = wheel("own", "1.0", padding=1000)
    cut = Dist(good.filename, good.content[:-500], b"")
    stated = digest(good.content).hexdigest()
    team.upload(good, **{field: stated})
    with pytest.raises(AssertionError, match=f"400 .*another {field}"):
        team.upload(cut, **{field: stated})
    with pytest.raises(AssertionError, match=f"400 .*another {field}"):
        team.upload(Dist("own-2.0-py3-none-any.whl", cut.content, b""), **{field: stated})
    assert team.shown("own") == [good.filename]
    assert team.file("own", good.filename)["hashes"] == {"sha256": good.sha256}


def test_the_same_bytes_again_keep_the_time_of_their_upload(team: Team) -> None:
    """`--exclude-newer` would pick an older version after a job was run again."""
    dist = wheel("own", "1.0")
    team.upload(dist)
    before = team.file("own", dist.filename)
    wait_until("the next second", lambda: time.time() > _seconds(before["upload-time"]) + 1)
    team.upload(dist)
    assert team.file("own", dist.filename) == before
    other = wheel("own", "1.0", padding=1)
    team.upload(other)
    assert team.file("own", dist.filename)["upload-time"] > before["upload-time"]
    assert team.file("own", dist.filename)["hashes"] == {"sha256": other.sha256}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_attestations_are_served_with_their_file_and_go_with_it(team: Team) -> None:
    """Through an upload of another file, a yank, a push to another index, and until other bytes come."""
    dist = wheel("own", "1.0")
    team.upload(dist, attestations=json.dumps([attestation(dist)]))
    team.upload(sdist("own", "1.0"))
    assert "provenance" not in team.file("own", sdist("own", "1.0").filename)
    team.call("PUT", f"{team.index('dev')}/own/1.0/+yank")
    assert _provenance(team, dist, "dev") == [attestation(dist)]
    push = {"name": "own", "version": "1.0", "targetindex": team.index("other")}
    team.call("POST", f"{team.index('dev')}/", json=push)
    assert _provenance(team, dist, "other") == [attestation(dist)]
    team.upload(wheel("own", "1.0", padding=1))
    assert "provenance" not in team.file("own", dist.filename)
    assert _provenance(team, dist, "other") == [attestation(dist)]


def test_two_files_of_one_content_have_each_their_own_provenance(team: Team) -> None:
    """An attestation names its file: that of the other one would fail to verify."""
    first = wheel("own", "1.0")
    second, third = (replace(first, filename=f"own-1.0-{build}-py3-none-any.whl") for build in (1, 2))
    team.upload(first, attestations=json.dumps([attestation(first)]))
    team.upload(second)
    team.upload(third, attestations=json.dumps([attestation(third)]))
    assert "provenance" not in team.file("own", second.filename)
    made = attestations.provenance([attestation(second)], "somebody")
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/+bundle/own/{second.filename}/provenance"
    root = ("root", team.mirrored.mirror.credentials["root"])
    requests.put(url, data=json.dumps(made), auth=root, timeout=30).raise_for_status()
    for dist, user in ((first, team.name), (second, "root"), (third, team.name)):
        assert _provenance(team, dist, "dev", user) == [attestation(dist)]


def _provenance(team: Team, dist: Dist, index: str, user: str = "") -> object:
    page = f"{team.mirrored.mirror.index_url(team.index(index))}own/"
    html_page = requests.get(page, headers={"Accept": "text/html"}, timeout=30).text
    url = team.file("own", dist.filename, index)["provenance"]
    assert f'data-provenance="{url}"' in html_page
    answer = requests.get(urljoin(page, url), timeout=30)
    assert answer.headers["Content-Type"].startswith("application/vnd.pypi.integrity.v1+json")
    (bundle,) = answer.json()["attestation_bundles"]
    assert bundle["publisher"] == {"kind": "devpi-server", "claims": None, "user": user or team.name}
    return bundle["attestations"]


def test_an_upload_to_the_address_of_installers_is_told_the_right_one(team: Team) -> None:
    """Both are addresses of the index; twine shows the status line."""
    dist = wheel("own", "1.0")
    for address in ("+simple/", "+simple"):
        answer = requests.post(
            f"{team.mirrored.mirror.url}/{team.index('dev')}/{address}",
            data={":action": "file_upload", "name": "own", "version": "1.0"},
            files={"content": (dist.filename, dist.content)},
            auth=(team.name, "pw"),
            timeout=30,
        )
        assert answer.status_code == 404
        assert f"uploads go to /{team.index('dev')}/" in answer.reason


def test_attestations_of_another_file_are_refused_with_the_upload(team: Team) -> None:
    """And nothing is kept: who verifies would find them wrong."""
    with pytest.raises(AssertionError, match=r"400 .*an attestation of something else"):
        team.upload(wheel("own", "1.0"), attestations=json.dumps([attestation(wheel("own", "2.0"))]))
    assert team.shown("own") == ["404"]


def test_a_form_with_files_in_place_of_texts_is_refused_or_read_without_them(team: Team) -> None:
    """The form's parser has other objects for them, which are neither true nor false."""
    dist = wheel("own", "1.0")
    form = {":action": "file_upload", "name": "own", "version": "1.0"}
    content = ("content", (dist.filename, dist.content))
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/"
    for field, status in (("attestations", 400), ("sha256_digest", 200)):
        files = [content, (field, ("a.json", b"[]"))]
        answer = requests.post(url, data=form, files=files, auth=(team.name, "pw"), timeout=30)
        assert answer.status_code == status, answer.text


def test_attestations_with_the_documentation_of_a_project_are_ignored(team: Team) -> None:
    """It may come without a version, and has no provenance."""
    dist = wheel("own", "1.0")
    team.upload(dist)
    form = {":action": "doc_upload", "name": "own", "attestations": json.dumps([attestation(dist)])}
    team.call("POST", f"{team.index('dev')}/", data=form, files={"content": ("own.zip", dist.content)})


def test_a_file_without_attestations_has_no_provenance(team: Team) -> None:
    """Not found, as at the address of a file that is not there."""
    dist = wheel("own", "1.0")
    team.upload(dist)
    url = team.mirrored.url_of(dist, team.index("dev"))
    assert requests.get(f"{url}.provenance", timeout=30).status_code == 404
    assert requests.get(f"{url[:-5]}x.provenance", timeout=30).status_code == 404


def test_a_whitelisted_project_shows_what_the_upstream_has_at_the_first_request(team: Team) -> None:
    """devpi left the mirror out until somebody had asked it for the page."""
    name = new_name("both")
    mine, theirs = wheel(name, "1.0"), wheel(name, "2.0")
    team.mirrored.upstream.add(name, theirs)
    team.upload(mine)
    assert team.shown(name) == [mine.filename]
    for index in ("dev", "prod"):
        team.mirrored.change_index(team.index(index), mirror_whitelist=name)
    assert team.shown(name) == [mine.filename, theirs.filename]

"""Attacks by an upstream that changes a file under its name, states no sha256, or another size."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.support.dists import Dist, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN
from tests.support.upstream import Listed, Upstream


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as made:
        yield made


def _change(mirrored: Mirrored, old: Dist, new: Dist, **listed: Any) -> None:  # noqa: ANN401
    """Replace a file upstream, and let the mirror ask for its page."""
    project = old.filename.partition("-")[0].replace("_", "-")
    mirrored.upstream.projects[project].files[:] = [Listed(replace(new, filename=old.filename), **listed)]
    mirrored.refresh(project)


def _get(mirrored: Mirrored, dist: Dist) -> requests.Response:
    return requests.get(mirrored.url_of(dist), timeout=30)


@pytest.mark.parametrize("downloaded", [True, False])
def test_a_file_that_changes_under_its_name_is_refused_and_the_old_one_is_served(
    mirrored: Mirrored, *, downloaded: bool
) -> None:
    """A release does not change; an attacker's does. Who means it is told how to accept it."""
    name = new_name("changed")
    old, new = wheel(name, "1.0"), wheel(name, "1.0", padding=10)
    (address,) = mirrored.publish(old)
    if downloaded:
        assert requests.get(address, timeout=30).content == old.content
    _change(mirrored, old, new)
    assert mirrored.entry(old)["hashes"] == {"sha256": old.sha256}
    status = mirrored.mirror.run(BIN / "mirror", "status").stdout
    path = f"root/pypi/{name}/{old.filename}"
    assert f"changed    {path} upstream, from sha256={old.sha256}" in status
    if downloaded:
        assert _get(mirrored, old).content == old.content
        pages = mirrored.mirror.home / "mirror" / "server" / "+upstream"
        mirrored.mirror.run(BIN / "mirror", "stop")
        shutil.rmtree(pages)
        mirrored.mirror.run(BIN / "mirror", "serve", "--background", cwd=mirrored.mirror.home)
        assert mirrored.entry(old)["hashes"] == {"sha256": old.sha256}  # although no page is here any more
        assert _get(mirrored, old).content == old.content
    mirrored.mirror.run(BIN / "mirror", "accept-changed", path)
    assert mirrored.entry(old)["hashes"] == {"sha256": new.sha256}
    assert _get(mirrored, old).content == new.content
    assert path not in mirrored.mirror.run(BIN / "mirror", "status").stdout


def test_one_changed_file_is_accepted_and_the_others_stay_refused(mirrored: Mirrored) -> None:
    """Also those that nobody has downloaded yet, whose hash is on the page alone."""
    name = new_name("several")
    old = [wheel(name, version) for version in ("1.0", "2.0")]
    new = [wheel(name, version, padding=10) for version in ("1.0", "2.0")]
    mirrored.publish(*old)
    mirrored.upstream.projects[name].files[:] = map(Listed, new)
    mirrored.refresh(name)
    assert [mirrored.entry(dist)["hashes"]["sha256"] for dist in old] == [dist.sha256 for dist in old]
    path = f"root/pypi/{name}/{old[0].filename}"
    mirrored.mirror.run(BIN / "mirror", "accept-changed", path)
    wanted = [new[0].sha256, old[1].sha256]
    assert [mirrored.entry(dist)["hashes"]["sha256"] for dist in old] == wanted
    status = mirrored.mirror.run(BIN / "mirror", "status").stdout
    assert (path in status, f"root/pypi/{name}/{old[1].filename}" in status) == (False, True)


@pytest.mark.parametrize("hashes", [{}, {"md5": "true"}])
def test_a_file_without_a_sha256_gets_one_when_it_arrives_and_is_held_to_it(
    mirrored: Mirrored, hashes: dict[str, str]
) -> None:
    """md5 can be forged, and nothing needs not even that: also when the file is lost here."""
    import hashlib

    name = new_name("hashless")
    old, new = sdist(name, "1.0"), sdist(name, "1.0", requires=["evil"])
    stated = {"md5": hashlib.md5(old.content, usedforsecurity=False).hexdigest()} if hashes else {}
    mirrored.publish(Listed(old, hashes=stated))
    assert "sha256" not in mirrored.entry(old)["hashes"]
    assert _get(mirrored, old).content == old.content
    assert mirrored.entry(old)["hashes"] == {"sha256": old.sha256, **stated}
    index = mirrored.mirror.home / "mirror" / "server" / "+files" / "root" / "pypi"
    (stored,) = index.rglob(old.filename)
    stored.unlink()
    mirrored.upstream.projects[name].files[:] = [Listed(replace(new, filename=old.filename), hashes=stated)]
    refused = _get(mirrored, old)
    assert refused.status_code == 502, refused.text
    assert mirrored.entry(old)["hashes"] == {"sha256": old.sha256, **stated}
    mirrored.upstream.projects[name].files[:] = [Listed(old, hashes=stated)]
    assert _get(mirrored, old).content == old.content


def test_a_file_without_a_hash_that_was_changed_can_be_accepted(mirrored: Mirrored) -> None:
    """Its address stays the same, and devpi's record of it has the hash of the first download."""
    name = new_name("accepted")
    old, new = sdist(name, "1.0"), sdist(name, "1.0", requires=["more"])
    mirrored.publish(Listed(old, hashes={}))
    assert _get(mirrored, old).content == old.content
    index = mirrored.mirror.home / "mirror" / "server" / "+files" / "root" / "pypi"
    (stored,) = index.rglob(old.filename)
    stored.unlink()
    mirrored.upstream.projects[name].files[:] = [Listed(replace(new, filename=old.filename), hashes={})]
    refused = _get(mirrored, old)
    assert (refused.status_code, f"`mirror why {name}`" in refused.reason) == (502, True)
    accept = ("accept-changed", f"root/pypi/{name}/{old.filename}")
    assert " ".join(("mirror", *accept)) in mirrored.mirror.run(BIN / "mirror", "why", name).stdout
    mirrored.mirror.run(BIN / "mirror", *accept)
    assert _get(mirrored, old).content == new.content
    assert mirrored.entry(old)["hashes"] == {"sha256": new.sha256}


def test_a_new_index_of_the_name_of_a_deleted_one_begins_anew(mirrored: Mirrored) -> None:
    """It is another index, with an upstream of its own."""
    name = new_name("anew")
    address, login = f"{mirrored.mirror.url}/root/short", ("root", mirrored.mirror.credentials["root"])
    settings = {"type": "mirror", "mirror_url": mirrored.upstream.url, "mirror_no_project_list": True}
    for dist in (wheel(name, "1.0"), wheel(name, "1.0", padding=10)):
        requests.put(address, json=settings, auth=login, timeout=30).raise_for_status()
        mirrored.upstream.projects.pop(name, None)
        mirrored.upstream.add(name, dist)
        assert requests.get(mirrored.url_of(dist, "root/short"), timeout=30).content == dist.content
        requests.delete(address, auth=login, timeout=30).raise_for_status()


def test_the_hash_that_a_file_got_is_shown_after_a_restart(mirrored: Mirrored) -> None:
    """It is in the database, not in memory."""
    dist = sdist(new_name("kept"), "1.0")
    mirrored.publish(Listed(dist, hashes={}))
    assert _get(mirrored, dist).content == dist.content
    mirrored.restart()
    assert mirrored.entry(dist)["hashes"] == {"sha256": dist.sha256}
    page = f"{mirrored.mirror.index_url('root/pypi')}{dist.filename.partition('-')[0]}/"
    assert urljoin(page, mirrored.entry(dist)["url"]).startswith(mirrored.mirror.url)

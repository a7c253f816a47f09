"""Metadata files of mirrored and uploaded wheels, through a real mirror."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests.support import faults
from tests.support.dists import broken_wheel, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.upstream import Upstream

LARGE = 400_000


def _get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


def test_without_metadata_files_one_small_range_of_the_wheel_is_enough(mirrored: Mirrored) -> None:
    """The usual upstream of a build machine; stock devpi would fetch the wheel."""
    mirrored.upstream.metadata = False
    dist = wheel("ranged", "1.0", requires=["other>=1"], padding=LARGE)
    (url,) = mirrored.publish(dist)
    answer = _get(f"{url}.metadata")
    assert (answer.status_code, answer.content) == (200, dist.metadata)
    assert answer.headers["Content-Length"] == str(len(dist.metadata))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["ETag"] == f'"{hashlib.sha256(dist.metadata).hexdigest()}"'
    assert [seen.headers["range"] for seen in mirrored.upstream.requests] == ["bytes=-32768"]
    again = requests.get(f"{url}.metadata", headers={"If-None-Match": answer.headers["ETag"]}, timeout=10)
    assert again.status_code == 304
    assert len(mirrored.upstream.requests) == 1


def test_an_upstreams_own_metadata_file_is_taken_over(mirrored: Mirrored) -> None:
    """It is smaller still, and its hash is known."""
    dist = wheel("offered", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    assert _get(f"{url}.metadata").content == dist.metadata
    assert [seen.path for seen in mirrored.upstream.requests] == [f"/files/{dist.filename}.metadata"]


@pytest.mark.parametrize(
    "fault", [faults.status(404), faults.status(403), faults.wrong_bytes, faults.garbage]
)
def test_an_upstreams_wrong_metadata_file_is_not_believed(mirrored: Mirrored, fault: faults.Fault) -> None:
    """Its hash was on the page; the wheel itself says what is right."""
    dist = wheel(new_name("wrongly-offered"), "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail(f"/files/{dist.filename}.metadata", fault)
    assert _get(f"{url}.metadata").content == dist.metadata


def test_without_ranges_the_wheel_is_downloaded_once_and_kept() -> None:
    """What had to be fetched for its metadata is there for the installation."""
    with (
        Upstream() as upstream,
        mirror_of(upstream) as mirrored,
    ):  # of its own: the mirror remembers the server
        upstream.metadata = upstream.ranges = False
        dists = [wheel("rangeless", f"1.{number}", padding=LARGE) for number in range(3)]
        urls = mirrored.publish(*dists)
        for dist, url in zip(dists, urls, strict=True):
            assert _get(f"{url}.metadata").content == dist.metadata
            assert _get(url).content == dist.content
        tried, *whole = [seen.headers.get("range") for seen in upstream.requests]
        assert (tried, whole) == ("bytes=-32768", [None] * 3)


def test_twenty_who_ask_at_once_cost_one_request(mirrored: Mirrored) -> None:
    """CI jobs start together."""
    mirrored.upstream.metadata = False
    dist = wheel("asked-together", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail("/files/*", faults.trickle(0.01))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(_get, [f"{url}.metadata"] * 20))
    assert {answer.content for answer in answers} == {dist.metadata}
    assert len(mirrored.upstream.requests) == 1


def test_thirty_different_ones_are_fetched_side_by_side_over_kept_connections(mirrored: Mirrored) -> None:
    """uv asks for the metadata of up to 50 wheels at once."""
    mirrored.upstream.metadata = False
    dists = [wheel("side-by-side", f"1.{number}", padding=LARGE // 10) for number in range(60)]
    urls = mirrored.publish(*dists)
    mirrored.upstream.fail("/files/*", faults.delayed(0.5))
    started = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(_get, [f"{url}.metadata" for url in urls]))
    assert [answer.content for answer in answers] == [dist.metadata for dist in dists]
    assert len(mirrored.upstream.requests) == 60
    assert mirrored.upstream.connections <= 30
    assert time.monotonic() - started < 60 * 0.5 / 2


@pytest.mark.parametrize("fault", ["garbage", "no-metadata", "two-metadata", "cut", "bomb"])
def test_a_broken_wheel_has_no_metadata_is_read_once_and_no_longer_advertised(
    mirrored: Mirrored, fault: str
) -> None:
    """The whole file proves it, its hash is right; after that nobody is asked again."""
    dist = broken_wheel(f"broken-{fault}", "1.0", fault)
    (url,) = mirrored.publish(dist)
    assert mirrored.entry(dist)["core-metadata"] is True
    assert _get(f"{url}.metadata").status_code == 404
    assert "core-metadata" not in mirrored.entry(dist)
    mirrored.upstream.forget()
    assert _get(f"{url}.metadata").status_code == 404
    assert mirrored.upstream.requests == []
    assert _get(url).content == dist.content


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.status(500), 503),
        (faults.status(429), 503),
        (faults.hang(), 503),
        (faults.dropped, 503),
        (faults.status(404), 404),
    ],
)
def test_upstream_trouble_is_said_and_not_remembered(
    mirrored: Mirrored, fault: faults.Fault, status: int
) -> None:
    """A wheel is not broken because its server is."""
    mirrored.upstream.metadata = False
    dist = wheel(new_name("metadata-trouble"), "1.0")
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail("/files/*", fault)
    answer = _get(f"{url}.metadata")
    assert (answer.status_code, "Retry-After" in answer.headers) == (status, status != 404)
    mirrored.upstream.heal()
    assert _get(f"{url}.metadata").content == dist.metadata


def test_garbage_in_a_range_does_not_make_a_good_wheel_broken(mirrored: Mirrored) -> None:
    """Only bytes that have the right hash prove anything."""
    mirrored.upstream.metadata = False
    dist = wheel("misread", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail("/files/*", faults.wrong_bytes, times=1)
    assert _get(f"{url}.metadata").content == dist.metadata


def test_an_uploaded_wheel_has_metadata_at_once(mirrored: Mirrored, tmp_path: Path) -> None:
    """From our own storage; nobody else is asked."""
    dist = wheel("uploaded-metadata", "1.0", requires=["other"])
    (tmp_path / dist.filename).write_bytes(dist.content)
    mirrored.upload(tmp_path / dist.filename)
    url = mirrored.url_of(dist, "company/dev")
    assert _get(f"{url}.metadata").content == dist.metadata


def test_what_an_upstream_says_of_a_wheel_holds_until_it_arrives_and_on_that_index_alone(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    """Whoever is asked for the metadata of a wheel of ours would else say what ours depends on."""
    dist = wheel(new_name("lied-about"), "1.0")
    (url,) = mirrored.publish(replace(dist, metadata=b"Requires-Dist: evil\n" + dist.metadata))
    assert b"evil" in _get(f"{url}.metadata").content
    (tmp_path / dist.filename).write_bytes(dist.content)
    mirrored.upload(tmp_path / dist.filename)
    assert _get(f"{mirrored.url_of(dist, 'company/dev')}.metadata").content == dist.metadata
    assert _get(url).content == dist.content
    assert _get(f"{url}.metadata").content == dist.metadata
    assert mirrored.entry(dist)["core-metadata"] == {"sha256": hashlib.sha256(dist.metadata).hexdigest()}

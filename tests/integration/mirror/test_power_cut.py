"""A power cut that takes all that nobody has synced: nothing acknowledged is lost, and nothing is wrong."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import pytest
import requests

from tests.support import faults
from tests.support.disks import Disk
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN
from tests.support.upstream import Upstream

pytestmark = pytest.mark.needs_root

SIZE = 300_000  # bytes


@pytest.fixture
def mirrored(disk: Disk) -> Iterator[Mirrored]:
    """All of it lies on that disk."""
    with Upstream() as upstream, mirror_of(upstream, place=disk.folder) as running:
        yield running


def test_what_was_uploaded_is_there_after_a_power_cut(disk: Disk, mirrored: Mirrored, tmp_path: Path) -> None:
    """twine said that it was; the only copy may be here."""
    for version in ("1.0", "2.0", "3.0"):
        dist = wheel("own", version, padding=SIZE)
        (tmp_path / dist.filename).write_bytes(dist.content)
        mirrored.upload(tmp_path / dist.filename)
        disk.cut()
        mirrored.restart()
        answer = requests.get(mirrored.url_of(dist, "company/dev"), timeout=30)
        assert (answer.status_code, answer.content == dist.content) == (200, True)
    mirrored.mirror.run(BIN / "mirror", "yank", "own==2.0")
    disk.cut()
    mirrored.restart()
    files = mirrored.page("own", "company/dev")["files"]
    assert [bool(file["yanked"]) for file in sorted(files, key=itemgetter("filename"))] == [
        False,
        True,
        False,
    ]


def test_what_was_mirrored_is_right_or_fetched_again(disk: Disk, mirrored: Mirrored) -> None:
    """A page or a file of which a part is left counts as not there."""
    dists = [wheel(f"seen{number}", "1.0", padding=SIZE) for number in range(4)]
    urls = [mirrored.publish(dist)[0] for dist in dists]
    for url, dist in zip(urls, dists, strict=True):
        assert requests.get(url, timeout=30).content == dist.content
        assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
    disk.cut()
    mirrored.restart()
    for url, dist in zip(urls, dists, strict=True):
        assert requests.get(url, timeout=30).content == dist.content
        assert requests.get(f"{url}.metadata", timeout=30).content == dist.metadata
        assert [file["filename"] for file in mirrored.page(dist.filename.partition("-")[0])["files"]] == [
            dist.filename
        ]


def test_what_a_client_has_got_needs_no_upstream_after_a_power_cut(disk: Disk, mirrored: Mirrored) -> None:
    """The upstream may be down when the power comes back."""
    dist = wheel("kept", "1.0", padding=SIZE)
    (url,) = mirrored.publish(dist)
    assert requests.get(url, timeout=30).content == dist.content
    disk.cut()
    mirrored.upstream.fail("/files/*", faults.dropped)
    mirrored.restart()
    assert requests.get(url, timeout=30).content == dist.content

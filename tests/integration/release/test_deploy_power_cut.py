"""A power cut that takes all that nobody has synced: the old or the new release is there, whole."""

from collections.abc import Iterator

import pytest

from release.host.disk import journal
from tests.support.disks import Disk
from tests.support.local_target import Host, running_host, stopped_at
from tests.support.tiny_app import NAME, app_wheel

pytestmark = pytest.mark.needs_root

STEPS = ["fetch", "install", "ready", "start", "switch", "verify", "verdict", "commit", "prune", "drain"]
FOR_GOOD = {"prune", "drain"}


@pytest.fixture
def host(disk: Disk) -> Iterator[Host]:
    """All of it lies on that disk."""
    with running_host(disk.folder) as running:
        running.deploy("0.1.0")
        yield running


def test_a_deploy_that_has_ended_is_there_after_a_power_cut(disk: Disk, host: Host) -> None:
    """`release deploy` said so, and somebody went home."""
    host.deploy("0.2.0")
    disk.cut()
    host.release("start", "local")
    assert host.get() == host.status()["version"] == "0.2.0"
    assert list(journal.states(journal.read(host.layout.journal)).values()) == [journal.GOOD] * 2
    host.release("rollback", "local")
    assert host.get() == "0.1.0"


def test_what_uv_had_unpacked_is_not_believed_after_a_power_cut(disk: Disk, host: Host) -> None:
    """The release is synced while it starts: a file of uv's cache was empty, and each later deploy failed."""
    with stopped_at(host, "0.2.0", "start"):
        disk.cut()
    unpacked = [path for path in host.layout.uv_cache.rglob("*-0.2.0.dist-info/WHEEL") if path.is_file()]
    for path in unpacked:
        path.write_bytes(b"")
    host.deploy("0.2.0")
    assert (len(unpacked) > 0, host.get()) == (True, "0.2.0")


@pytest.mark.parametrize("step", STEPS)
def test_the_power_may_be_cut_at_every_step(disk: Disk, host: Host, step: str) -> None:
    """What was good before is there, whole, and the same deploy works."""
    host.served.add(NAME, app_wheel("0.3.0", procfile="web: python -m tiny\nrelease: true\n"))
    with stopped_at(host, "0.3.0", step):
        disk.cut()
    host.release("start", "local")
    assert host.get() == host.status()["version"] == ("0.3.0" if step in FOR_GOOD else "0.1.0")
    host.deploy("0.3.0")
    assert host.get() == "0.3.0"

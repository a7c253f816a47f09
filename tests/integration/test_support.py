"""What the tests stand on: each thing here once failed a test that had nothing to do with it."""

import subprocess

import pytest

from tests.support.disks import Disk

pytestmark = pytest.mark.needs_root


def test_a_disk_comes_back_though_another_mount_namespace_holds_it(disk: Disk) -> None:
    """Each test host has a namespace of its own, with a copy of every mount of that moment."""
    (disk.folder / "kept").write_text("synced")
    subprocess.run(["sync", "--file-system", disk.folder], check=True)
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "echo; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline()
        disk.cut()
        assert (disk.folder / "kept").read_text() == "synced"
        other.communicate()

"""What the tests stand on: each thing here once failed a test that had nothing to do with it."""

import os
import subprocess

import pytest

from tests.support.disks import Disk

pytestmark = pytest.mark.needs_root

NAMESPACE = ("unshare", "--mount", "sh", "-c", "echo; read line")


def test_a_disk_comes_back_though_another_mount_namespace_holds_it(disk: Disk) -> None:
    """Each test host has a namespace of its own, with a copy of every mount of that moment."""
    (disk.folder / "kept").write_text("synced")
    os.sync()
    with subprocess.Popen(NAMESPACE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        disk.cut()
        assert (disk.folder / "kept").read_text() == "synced"
        other.communicate()

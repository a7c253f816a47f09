"""A disk that loses unsynced writes at a power cut."""

import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.servers import short_home, wait_until

SIZE = "1G"  # sparse
# FS_IOC_SHUTDOWN (linux/fs.h) with EXT4_GOING_FLAGS_NOLOGFLUSH: from now on nothing reaches the disk.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2


class Disk:
    """An ext4 file system of its own at `folder`."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self.folder = folder

    def mount(self) -> None:
        """What a boot does, the journal's replay included.

        On a new loop device each time: a mount namespace that a neighbour made meanwhile may still hold the
        dead file system, and `mount -o loop` would find its device by the image and give us that one again.
        """
        device = _run("losetup", "--find", "--show", str(self._image))
        try:
            _run("mount", device, str(self.folder))
        finally:
            _run("losetup", "--detach", device)  # as soon as nobody uses it

    def cut(self) -> None:
        """The power goes, and with it all processes that use this disk; then it comes back."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        os.close(descriptor)
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        """Also when somebody uses it, or starts others meanwhile that do."""
        wait_until("nobody to use the disk", self._is_unmounted)

    def _is_unmounted(self) -> bool:
        users = [process for process in psutil.process_iter() if self._is_used_by(process)]
        for process in users:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(users, timeout=10)
        try:
            _run("umount", str(self.folder))
        except subprocess.CalledProcessError:  # busy
            return False
        return True

    def _is_used_by(self, process: psutil.Process) -> bool:
        try:
            places = [process.cwd(), *process.cmdline(), *(file.path for file in process.open_files())]
        except psutil.Error:
            return False
        return process.pid != os.getpid() and any(place.startswith(str(self.folder)) for place in places)


@contextmanager
def forgetful_disk() -> Iterator[Disk]:
    """One with a short path, which is gone afterwards. Needs root."""
    with short_home() as place:
        image, folder = place / "image", place / "disk"
        folder.mkdir()
        _run("truncate", "--size", SIZE, str(image))
        _run("mkfs.ext4", "-q", str(image))
        disk = Disk(image, folder)
        disk.mount()
        try:
            yield disk
        finally:
            disk.unmount()


def _run(*command: str) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return subprocess.run(
        command, env={"PATH": path}, check=True, capture_output=True, text=True
    ).stdout.strip()

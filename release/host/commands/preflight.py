"""What has to be right on this host before anything is touched."""

import os
from pathlib import Path

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini
from release.host.request import Deploy

# The clock is not looked at: numbers decide what is newer, and waits are measured by another clock.


def check(layout: Layout, wanted: Deploy, circus: circus_ini.Supervisor) -> None:
    """Raise PackhorseError when a release could not be made or run here."""
    circus.check(wanted.bind)
    _check_sockets(layout, circus)
    current = releases.current(layout)
    if current is not None:
        _check_space(layout, *_size(layout.release(current)))


def _check_sockets(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """No server has removed the file of a socket that is circusd's: it cannot be made again under it."""
    gone = [slot for slot in circus_ini.SLOTS if not layout.slot(slot).exists()]
    if gone and circus.running():
        raise PackhorseError(
            f"{layout.slot(gone[0])} was removed, probably by a server that listened there.",
            f"Let it listen on $PORT (in the Procfile), and restart circusd: release stop and start, or on a "
            f"server systemctl restart packhorse@{layout.app}.",
        )


def _check_space(layout: Layout, size: int, count: int) -> None:
    """There is room for twice a release of `size` bytes in `count` files."""
    there = os.statvfs(layout.folder)
    free, inodes = there.f_bavail * there.f_frsize, there.f_favail
    if free < 2 * size:
        raise PackhorseError(
            f"The disk is nearly full: {free // 2**20} MB are free in {layout.folder}, "
            f"and twice the last release are {2 * size // 2**20} MB.",
            "Free some space and deploy again.",
        )
    if there.f_files and inodes < 2 * count:  # file systems that make inodes as they need them say 0
        raise PackhorseError(
            f"The disk has hardly any inodes left: {inodes} in {layout.folder}, "
            f"and twice the last release needs {2 * count}.",
            "Remove files that nobody needs and deploy again.",
        )


def _size(folder: Path) -> tuple[int, int]:
    """The bytes and the number of files of a release, as if none of them were shared with others."""
    size = count = 0
    for _, folders, names, here in os.fwalk(folder):
        count += len(folders) + len(names)
        size += sum(os.stat(name, dir_fd=here, follow_symlinks=False).st_blocks for name in names) * 512
    return size, count

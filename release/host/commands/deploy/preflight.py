"""Check that a release can be made and run on this host, before anything is changed."""

import os
from pathlib import Path

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content
from release.host.install import release_folder
from release.host.install.interpreter import Interpreter
from release.host.processes import circus_ini

OVERHEAD = 2**20
"""Bytes that a release writes beside its virtualenv: manifest, journal, the beginning of its logs."""

# The clock is not looked at: numbers decide what is newer, and waits are measured by another clock.


def check(
    layout: Layout,
    content: Content,
    python: Interpreter,
    bind: circus_ini.Bind,
    circus: circus_ini.Supervisor,
) -> None:
    """Raise PackhorseError when a release could not be made or run here."""
    circus.check(bind)
    _check_sockets(layout, circus)
    _check_space(layout, *space_needed(layout, content, python))


def _check_sockets(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """No server has removed the file of a socket that is circusd's: it cannot be made again under it."""
    gone = [slot for slot in circus_ini.SLOTS if not layout.slot(slot).exists()]
    if gone and circus.running():
        raise PackhorseError(
            f"{layout.slot(gone[0])} was removed, probably by a server that listened there.",
            f"Let it listen on $PORT (in the Procfile), and restart circusd: release stop and start, or on a "
            f"server systemctl restart packhorse@{layout.app}.",
        )


def space_needed(layout: Layout, content: Content, python: Interpreter) -> tuple[int, int]:
    """The bytes and inodes that installing `content` takes; of a first release nobody knows.

    The content of a release that is here is linked once more where that release is linked itself. Anything
    else is taken for twice as large as the current release: downloaded, and unpacked.
    """
    same, current = release_folder.same_content(layout, content, python), releases.current(layout)
    if same is not None:
        taken, inodes = size(layout.release(same), linked=content.installer == "uv")
        return taken + OVERHEAD, inodes
    if current is None:
        return 0, 0
    taken, inodes = size(layout.release(current))
    return 2 * taken, 2 * inodes


def _check_space(layout: Layout, needed: int, inodes: int) -> None:
    """Raise PackhorseError unless there is room for `needed` bytes in `inodes` files."""
    there = os.statvfs(layout.folder)
    free, free_inodes = there.f_bavail * there.f_frsize, there.f_favail
    if free < needed:
        raise PackhorseError(
            f"The disk is nearly full: {free / 2**20:.1f} MB are free in {layout.folder}, "
            f"and this release needs about {needed / 2**20:.1f} MB.",
            "Free some space and deploy again.",
        )
    if there.f_files and free_inodes < inodes:  # file systems that make inodes as they need them say 0
        raise PackhorseError(
            f"The disk has hardly any inodes left: {free_inodes} in {layout.folder}, "
            f"and this release needs about {inodes}.",
            "Remove files that nobody needs and deploy again.",
        )


def size(folder: Path, *, linked: bool = False) -> tuple[int, int]:
    """The bytes and inodes of release `folder`; with `linked`, of what is a hard link nothing.

    Compiled files are shared from one release to the next, where their sources are: see bytecode.py.
    """
    total = count = 0
    for path, _, names, here in os.fwalk(folder):
        found = [os.stat(name, dir_fd=here, follow_symlinks=False) for name in names]
        if linked:
            found = [status for status in found if status.st_nlink == 1 and not path.endswith("__pycache__")]
        found.append(os.fstat(here))
        total += sum(status.st_blocks for status in found) * 512
        count += len(found)
    return total, count

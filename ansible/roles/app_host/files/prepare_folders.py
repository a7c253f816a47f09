#!/usr/bin/python3 -I
"""Prepare the folders of an application for the user that runs its processes, not the one that deploys.

systemd runs it as the user that deploys, before every start of circusd. It also takes a host over on which
one user did both: gives group and access to what that user left. Arguments: FOLDER GROUP SOCKETS PUBLIC,
where circusd makes its sockets in SOCKETS, and all others find them in PUBLIC.
"""

import contextlib
import grp
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

SECRETS = ("env.json", "config.json", "hashes.json")  # in each release
NAMES = ("web.a.sock", "web.b.sock", "ctl.sock", "pub.sock")


def main(folder: Path, group: str, sockets: Path, public: Path) -> None:
    """Make what circusd needs, and link to what it makes; nothing while one of an earlier version runs."""
    if listens(public / "ctl.sock"):
        return
    gid = grp.getgrnam(group).gr_gid
    (folder / "conf.d").mkdir(exist_ok=True)
    link(folder / "circus.ini", Path("/etc/packhorse/apps", f"{folder.name}.ini"))
    for name in NAMES:
        link(public / name, sockets / name)
    if not (folder / "data").exists() or (folder / "data").stat().st_gid != gid:
        distrust(folder)
        show(folder / "releases")
    for name in ("env.json", "config.json", "READY"):  # what may be read may be locked: flock(2)
        for file in folder.glob(f"releases/*/{name}"):
            os.chown(file, -1, gid)
            file.chmod(0o640)
    for name in ("log", "data"):
        (folder / name).mkdir(exist_ok=True)
        share(folder / name, gid)


def listens(control: Path) -> bool:
    """Whether a circusd that this user itself runs takes commands: `systemctl start` leads here then, too."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        if not control.is_symlink():
            client.connect(str(control))
            return True
    return False


def distrust(folder: Path) -> None:
    """Remove what the processes of a one-user host could have changed, and what releases are made from."""
    shutil.rmtree(folder / "cache" / "installer", ignore_errors=True)
    for compiled in folder.glob("releases/*/venv/lib/**/__pycache__"):
        shutil.rmtree(compiled, ignore_errors=True)


def show(releases: Path) -> None:
    """Let others read what releases consist of: they were made under the umask of a login shell, as 027."""
    for where, folders, names in os.walk(releases):
        for path in (Path(where, name) for name in [".", *folders, *names]):
            is_secret = any(secret in path.name for secret in SECRETS)  # also what a killed write has left
            if not (path.is_symlink() or is_secret):
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | ((mode & 0o500) >> 6))


def link(path: Path, target: Path) -> None:
    """Let `path` be a link to `target`, in one step."""
    if not path.is_symlink() or path.readlink() != target:
        scratch = path.with_name(f".{path.name}.link")
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(target)
        scratch.replace(path)


def share(folder: Path, gid: int) -> None:
    """Let the group write to `folder`, and to what this user has in it, from the time when it did both.

    The other user may have put links there, also hard ones: only a file of ours with one name is given.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.fstat(top).st_gid == gid:
        give(top, gid)
        os.close(top)
        return
    for _, folders, names, here in os.fwalk(".", dir_fd=top):
        for name in [*folders, *names]:
            with contextlib.suppress(OSError):
                entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
                give(entry, gid)
                os.close(entry)
    give(top, gid)  # the last: until then it counts as not done
    os.close(top)


def give(entry: int, gid: int) -> None:
    """Let the group do to an open file or folder what its owner may do."""
    found = os.fstat(entry)
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid == os.getuid() and (is_folder or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)):
        mode = stat.S_IMODE(found.st_mode) & 0o770
        os.fchown(entry, -1, gid)
        os.fchmod(entry, mode | ((mode & 0o700) >> 3) | (stat.S_ISGID if is_folder else 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))

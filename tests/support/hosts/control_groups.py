"""Control groups of a test host: find and kill all its processes at once.

Every host needs one of its own: two systemds in the same group would end each other's services.
"""

import time
from pathlib import Path

# sh -c ENTER GROUP GROUP COMMAND…: become COMMAND inside both groups.
ENTER = 'echo $$ > "$0/cgroup.procs"; echo $$ > "$1/cgroup.procs"; shift; exec "$@"'


def _mounts() -> tuple[Path, Path]:
    """Where version 2 is mounted, and what systemd uses besides: a hierarchy of version 1, or the same."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    unified = next(Path(line[4]) for line in lines if line[line.index("-") + 1] == "cgroup2")
    named = (Path(line[4]) for line in lines if "name=systemd" in line[-1].split(","))
    return unified, next(named, unified)


def make(name: str) -> tuple[Path, Path]:
    """New groups `name`."""
    groups = tuple(mount / name for mount in _mounts())
    for group in groups:
        group.mkdir(exist_ok=True)
    return groups[0], groups[1]


def named(prefix: str) -> list[str]:
    """The groups whose names begin with `prefix`."""
    return sorted({group.name for mount in _mounts() for group in mount.glob(f"{prefix}*")})


def alive(name: str) -> bool:
    """Whether a process is in the groups `name`."""
    return any(_processes(mount / name) for mount in _mounts())


def kill(name: str) -> None:
    """End every process in the groups `name`, at once, and remove them."""
    groups = [mount / name for mount in _mounts() if (mount / name).exists()]
    for group in groups:
        if (group / "cgroup.kill").exists():
            (group / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + 20
    while alive(name):
        assert time.monotonic() < deadline, f"{name} does not end"
        time.sleep(0.02)
    for group in groups:
        _remove(group)


def _processes(group: Path) -> list[str]:
    return [line for file in group.rglob("cgroup.procs") for line in file.read_text().split()]


def _remove(group: Path) -> None:
    if not group.exists():
        return
    for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        below.rmdir()
    group.rmdir()

"""End processes of releases that should not run any more: what circusd has lost sight of.

On servers circusd runs it as its own user: who deploys may not end the processes of another user. It imports
the standard library only.
"""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Collection
from pathlib import Path

ONE_OFF = "PACKHORSE_ONE_OFF"
"""Environment variable of a one-off's processes: the process id of oneoff.py."""


def main(releases: Path, groups: Collection[int], keep: Collection[int]) -> None:
    """Kill the process `groups`, whose leaders have ended, and processes of releases not in `keep`."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if entry.name.isdecimal() and (number := _release(entry, releases)) and number not in keep:
                os.kill(int(entry.name), signal.SIGKILL)


def _release(process: Path, releases: Path) -> int | None:
    """The release of a process: by its environment, or by launch.py, which is about to become a process.

    One-offs end with their own command, and hold their release until then.
    """
    environment, arguments = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
    mark = re.search(rb"(?:^|\0)%s=(\d+)(?:\0|$)" % ONE_OFF.encode(), environment)
    if mark and is_one_off(mark[1]):
        return None
    folder = re.escape(bytes(releases))
    found = re.search(rb"(?:^|\0)PACKHORSE_FOLDER=%s/(\d+)(?:\0|$)" % folder, environment) or re.search(
        rb"\0%s/(\d+)/launch\.py(?:\0|$)" % folder, arguments
    )
    return int(found[1]) if found else None


def is_one_off(mark: bytes) -> bool:
    """Whether the oneoff.py of a process still runs; `mark`: its variable ONE_OFF, empty without one."""
    with contextlib.suppress(OSError):
        return mark.isdigit() and b"/oneoff.py\0" in Path(f"/proc/{int(mark)}/cmdline").read_bytes()
    return False


def command(releases: Path, groups: Collection[int], keep: Collection[int]) -> list[str]:
    """The argument list that runs this module."""
    lists = [",".join(map(str, numbers)) for numbers in (groups, keep)]
    return [sys.executable, "-IS", str(Path(__file__)), str(releases), *lists]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *([int(n) for n in text.split(",") if n] for text in sys.argv[2:]))

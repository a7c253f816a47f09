"""One command at a time per application: a kernel lock that dies with its holder, and says who that is."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from packhorse.errors import PackhorseError
from release.host import journal
from release.host.layout import Layout


class BusyError(PackhorseError):
    """Another command is at work on this application."""


@contextmanager
def held(layout: Layout, command: str, by: str) -> Iterator[None]:
    """Hold the lock for the `with` block. Raises BusyError at once when somebody else has it."""
    # The descriptor is not inherited: neither circusd nor an installer can keep the lock alive.
    with os.fdopen(os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{layout.app} is busy: {owner(layout)}.", "Wait until that has ended, then try again."
            ) from None
        file.truncate()
        file.write(json.dumps({"command": command, "by": by, "since": journal.now()}).encode())
        file.flush()
        yield


def owner(layout: Layout) -> str:
    """Who holds the lock, in words."""
    try:
        told = json.loads(layout.lock.read_bytes())
        return f"{told['command']} by {told['by']} since {told['since']}"
    except (OSError, ValueError, KeyError):  # it has just been taken, and the name is still being written
        return "another command has just begun"

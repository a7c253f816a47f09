"""The lock of an application: one command at a time; it dies with its holder, and names it."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import journal
from release.host.disk.layout import Layout

POLL = 0.1


class BusyError(PackhorseError):
    """Another command is at work on this application."""


@contextmanager
def held(
    layout: Layout, command: str, by: str, wait: float = 0, session: Session | None = None
) -> Iterator[None]:
    """Hold the lock for the `with` block.

    Waits up to `wait` seconds for another command, then raises BusyError; `session` can end the wait.
    """
    # The descriptor is not inherited: neither circusd nor an installer can keep the lock alive.
    with os.fdopen(os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        os.fchmod(file.fileno(), 0o600)  # flock(2) asks for no more than to read it
        if not files.try_flock(file.fileno()):
            _await(file, layout, wait, session)
        file.truncate()
        file.write(json.dumps({"command": command, "by": by, "since": journal.now()}).encode())
        file.flush()
        yield


@contextmanager
def held_on_all_hosts(layout: Layout, command: str, by: str, wait: float, session: Session) -> Iterator[None]:
    """Hold the lock for the `with` block, which begins when all hosts of the target hold theirs.

    What two such commands do comes in the same order on all hosts, and one that is refused on a host is
    carried out on none. Raises BusyError, or StoppedError when another host is busy.
    """
    session.gate("lock")
    with held(layout, command, by, wait, session):
        session.gate("start")
        yield


def _await(file: IO[bytes], layout: Layout, wait: float, session: Session | None) -> None:
    if wait and session:
        session.step("lock", f"Waiting for {owner(layout)}")
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        if session:
            session.pause(POLL)
        if files.try_flock(file.fileno()):
            return
    raise BusyError(
        f"{layout.app} is busy: {owner(layout)}.", "Wait until that has ended, or for it: --wait SECONDS"
    )


def owner(layout: Layout) -> str:
    """Holder of the lock, as text for people."""
    try:
        holder = json.loads(layout.lock.read_bytes())
        return f"{holder['command']} by {holder['by']} since {holder['since']}"
    except (OSError, ValueError, KeyError):  # the holder is still writing its name
        return "another command has just begun"

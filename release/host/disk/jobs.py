"""The state of scheduled jobs on this host: whether it runs them, when each is due, how each ended last."""

import contextlib
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from packhorse import files
from release.host.disk.layout import Layout

HERE = "here"
"""Exists on the host that runs the jobs: the timer that provisioning made asks for it."""


def folder(layout: Layout) -> Path:
    """The folder of it."""
    return layout.folder / "jobs"


def is_here(layout: Layout) -> bool:
    """Whether this host runs the jobs of its target."""
    return (folder(layout) / HERE).exists()


def set_here(layout: Layout, *, here: bool) -> None:
    """Let this host run the jobs, or not."""
    if here:
        _make_folder(layout)
        (folder(layout) / HERE).touch()
    else:
        (folder(layout) / HERE).unlink(missing_ok=True)


def _make_folder(layout: Layout) -> None:
    """Make the folder, for this user alone: whoever may read a lock may hold it for ever (flock(2))."""
    folder(layout).mkdir(exist_ok=True)
    folder(layout).chmod(0o700)  # an earlier version let all users in


def read(layout: Layout, job: str, what: str) -> dict[str, Any]:
    """State `what` of a job: "due" or "last"; {} without any."""
    try:
        state = json.loads((folder(layout) / f"{job}.{what}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write(layout: Layout, job: str, what: str, **state: object) -> None:
    """Write it."""
    _make_folder(layout)
    files.write_whole(folder(layout) / f"{job}.{what}.json", json.dumps(state).encode())


def forget_times(layout: Layout, keep: Collection[str]) -> None:
    """Forget when jobs are due, but those that `keep` names: one that comes back later has missed nothing."""
    for path in folder(layout).glob("*.due.json"):
        if path.name.partition(".")[0] not in keep:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def running(layout: Layout, job: str, *, overlap: bool = False) -> Iterator[bool]:
    """Hold the lock of a job, with `overlap` beside others that do; False: it is held, as the job runs."""
    _make_folder(layout)
    descriptor = os.open(folder(layout) / f"{job}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield files.try_flock(descriptor, fcntl.LOCK_SH if overlap else fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def is_running(layout: Layout, job: str) -> bool:
    """Whether the job runs now."""
    if not (folder(layout) / f"{job}.lock").exists():
        return False
    with running(layout, job) as free:
        return not free

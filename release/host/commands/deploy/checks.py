"""Check that processes without a socket are ready: they have to stay up, and a command has to end with 0."""

import contextlib
import os
import threading
import time
from collections.abc import Collection, Mapping

from packhorse.errors import PackhorseError
from release.host.control.session import Session, StoppedError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import oneoffs, readiness
from release.host.processes.circus_ini import Supervisor
from release.host.processes.watchers import Watcher
from release.host.request import Check

RETRY = 0.5
"""Seconds between two tries of a command: a worker may need a moment until it is known to its queue."""
KEPT = 4096
"""Bytes of its last output that are shown."""


def await_ready(
    layout: Layout,
    circus: Supervisor,
    started: Collection[Watcher],
    checks: Mapping[str, Check],
    session: Session,
) -> None:
    """Wait until the processes `started` are ready, by the `checks` of their types.

    Raises PackhorseError when they are not, and StoppedError.
    """
    uptime = max((checks[each.process].uptime for each in started if each.process in checks), default=0.0)
    if uptime > readiness.STAY_UP:
        session.step("check", f"Waiting until workers have run for {uptime:g} s")
    uptimes = {process: check.uptime for process, check in checks.items()}
    readiness.await_up(layout, circus, started, session.pause, uptimes)
    for watcher in sorted(started, key=lambda each: each.process):
        check = checks.get(watcher.process)
        if check and check.command:
            _await_command(layout, circus, watcher, check, session)


def _await_command(
    layout: Layout, circus: Supervisor, watcher: Watcher, check: Check, session: Session
) -> None:
    """Run the command of `check` again and again, with the release of `watcher`, until it ends with 0."""
    session.step("check", f"{watcher.process}: {' '.join(check.command)}")
    deadline = time.monotonic() + check.timeout
    while True:
        try:
            _, one_off = oneoffs.start(
                *(layout, circus, session, lambda: watcher.release), command=check.command, terminal=None
            )
            status, output = _result(one_off, max(deadline, time.monotonic() + RETRY), session)
        except StoppedError:
            raise
        except PackhorseError as error:
            status, output = error.exit_code, error.message
        if status == 0:
            return
        if time.monotonic() + RETRY > deadline:
            break
        session.pause(RETRY)
    manifest = releases.read_manifest(layout, watcher.release)
    ended = "did not end" if status is None else f"ended with status {status}"
    raise PackhorseError(
        f"{watcher.process} of {manifest.project} {manifest.version} (release {watcher.release}) is not "
        f"healthy: its check_command {ended}, for {check.timeout:g} s.",
        f"Run it by hand: release run --release {watcher.release} …; or look at {layout.log(watcher.name)}",
        detail=f"The check's last output:\n{output or '(it wrote nothing)'}",
    )


def _result(one_off: oneoffs.OneOff, deadline: float, session: Session) -> tuple[int | None, str]:
    """The exit status and the last output of a command; None: it was killed, or has not ended in time.

    Raises StoppedError; then, too, it is told to end.
    """
    stdin, *outputs = one_off.files
    os.close(stdin)
    kept = [b"", b""]

    def read(position: int, descriptor: int) -> None:
        while data := os.read(descriptor, KEPT):
            kept[position] = (kept[position] + data)[-KEPT:]
        os.close(descriptor)

    readers = [threading.Thread(target=read, args=each, daemon=True) for each in enumerate(outputs)]
    for reader in readers:
        reader.start()
    one_off.connection.settimeout(RETRY)  # how long a stop may go unnoticed
    status = None
    try:
        while time.monotonic() < deadline:
            session.safe_point()
            with contextlib.suppress(TimeoutError):
                status = one_off.wait()
                break
    finally:
        one_off.end()
    for reader in readers:
        reader.join(RETRY)
    return status, b"".join(kept).decode("utf-8", "replace").strip()

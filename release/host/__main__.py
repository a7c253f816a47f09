"""The agent: carry out one request from stdin, with events on stdout; stdin closing asks it to stop."""

import contextlib
import errno
import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from packhorse.errors import PackhorseError
from release.host import request
from release.host.commands import deploy, history, reconcile, status
from release.host.control.channel import Channel
from release.host.control.session import Session, StoppedError
from release.host.disk import lock, releases
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, Layout
from release.host.processes import public_address
from release.host.processes.circusd import Circus

# What a deploy needs: loaded while whoever started us is still finding out what to ask.
COSTLY = ("zmq", "release.host.formats.lockfile", "psutil")


def main() -> None:
    """Carry out what is asked, and end with its one result or error."""
    if sys.argv[1:2] == ["boot"]:
        reconcile.boot(Layout(sys.argv[2], SERVER_ROOT, SERVER_RUN))
        return
    inbox = Channel(0)
    for costly in COSTLY:
        if inbox.waiting():
            importlib.import_module(costly)
    data = inbox.request()
    if data is None:
        return
    try:
        asked = request.decode(data)
        _emit({"event": "result", **_result(asked, Session(_emit, inbox, asked.gates))})
    except (PackhorseError, OSError) as error:
        told = _disk_full(error) if isinstance(error, OSError) else error
        _emit(
            {
                "event": "error",
                "message": told.message,
                "hint": told.hint,
                "detail": told.detail,
                "exit_code": told.exit_code,
            }
        )


def _emit(event: dict[str, Any]) -> None:
    # Whoever listened may have been killed; stdin tells, and the work ends in order.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(event).encode() + b"\n")


def _disk_full(error: OSError) -> PackhorseError:
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        raise error
    return PackhorseError(f"The disk is full: {error}", "Free some space and run the command again.")


def _result(asked: request.Request, session: Session) -> Mapping[str, object]:
    """Carry out `asked`; what it returns is the last event."""
    layout = asked.layout
    circus = Circus(layout, supervised=asked.supervised)
    match asked:
        case request.Deploy() | request.Rollback():
            return deploy.run(layout, asked, circus, session)
        case request.Releases():
            return {"app": layout.app, "releases": history.listed(layout)}
        case request.Status():
            return _status(layout, asked, circus)
        case request.Logs():
            return _logs(layout, asked, session)
        case request.Stop():
            return _stop(layout, asked, circus, session)
        case request.Start():
            return _start(layout, asked, circus, session)
    raise NotImplementedError(asked)


def _status(layout: Layout, asked: request.Status, circus: Circus) -> Mapping[str, object]:
    if not layout.folder.exists():
        return status.nothing(layout)
    releases.make_folders(layout)
    return status.status(layout, circus, asked.by)


def _logs(layout: Layout, asked: request.Logs, session: Session) -> Mapping[str, object]:
    def line(process: str, text: str) -> None:
        session.emit({"event": "line", "process": process, "text": text})

    for process, text in status.logs(layout, asked.release, asked.lines):
        line(process, text)
    if asked.follow:
        with contextlib.suppress(StoppedError):
            status.follow(layout, asked.release, line, session.pause)
    return {}


def _stop(layout: Layout, asked: request.Stop, circus: Circus, session: Session) -> Mapping[str, object]:
    releases.deployed(layout)
    releases.make_folders(layout)
    with lock.held(layout, "stop", asked.by):
        session.step("drain", "Letting the processes finish")
        layout.stopped.touch()
        reconcile.run(layout, circus)
    return {"app": layout.app}


def _start(layout: Layout, asked: request.Start, circus: Circus, session: Session) -> Mapping[str, object]:
    number = releases.deployed(layout)
    releases.make_folders(layout)
    with lock.held(layout, "start", asked.by):
        session.step("start", f"Starting release {number}")
        layout.stopped.unlink(missing_ok=True)
        reconcile.run(layout, circus)
        session.step("verify", "Asking through the public socket")
        public_address.verify(layout, number)
    return public_address.describe(layout, number)


if __name__ == "__main__":
    main()
    os._exit(0)  # all is said and synced; to take the interpreter apart would take as long as a probe

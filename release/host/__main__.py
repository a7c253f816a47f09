"""One request on stdin, events on stdout; stdin closing means: stop at the next safe point."""

import contextlib
import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from packhorse.errors import PackhorseError
from release.host import request
from release.host.commands import deploy, history, plan, reconcile, status
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
        session = Session(_emit, inbox, data.get("gates", []))
        result = COMMANDS[data["command"]](request.layout(data), data, session)
        _emit({"event": "result", **result})
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


def _deploy(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    wanted = request.deploy(data)
    return _change(layout, data, session, f"deploy of {wanted.version}", lambda: wanted)


def _rollback(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    releases.deployed(layout)
    number, keep, by = data["release"], data["keep"], data["by"]
    return _change(layout, data, session, "rollback", lambda: history.rollback(layout, number, keep, by))


def _change(
    layout: Layout, data: dict[str, Any], session: Session, what: str, wanted: Callable[[], request.Deploy]
) -> dict[str, Any]:
    how = request.options(data)
    if how.plan:
        return plan.plan(layout, wanted(), how)
    releases.make_folders(layout)
    session.gate("lock")
    with lock.held(layout, what, data["by"], how.lock_wait, session):
        return deploy.Rollout(layout, wanted(), how, _circus(layout, data), session).run()


def _circus(layout: Layout, data: dict[str, Any]) -> Circus:
    return Circus(layout, supervised=data.get("supervised", False))


def _releases(layout: Layout, _data: dict[str, Any], _session: Session) -> dict[str, Any]:
    return {"app": layout.app, "releases": history.listed(layout)}


def _status(layout: Layout, data: dict[str, Any], _session: Session) -> dict[str, Any]:
    if not layout.folder.exists():
        return status.nothing(layout)
    releases.make_folders(layout)
    return status.status(layout, _circus(layout, data), data["by"])


def _logs(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    def line(process: str, text: str) -> None:
        session.emit({"event": "line", "process": process, "text": text})

    for process, text in status.logs(layout, data["release"], data["lines"]):
        line(process, text)
    if data["follow"]:
        with contextlib.suppress(StoppedError):
            status.follow(layout, data["release"], line, session.pause)
    return {}


def _stop(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    releases.deployed(layout)
    releases.make_folders(layout)
    with lock.held(layout, "stop", data["by"]):
        session.step("drain", "Letting the processes finish")
        layout.stopped.touch()
        reconcile.run(layout, _circus(layout, data))
    return {"app": layout.app}


def _start(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    number = releases.deployed(layout)
    releases.make_folders(layout)
    with lock.held(layout, "start", data["by"]):
        session.step("start", f"Starting release {number}")
        layout.stopped.unlink(missing_ok=True)
        reconcile.run(layout, _circus(layout, data))
        session.step("verify", "Asking through the public socket")
        public_address.verify(layout, number)
    return public_address.describe(layout, number)


COMMANDS: dict[str, Callable[[Layout, dict[str, Any], Session], dict[str, Any]]] = {
    "deploy": _deploy,
    "rollback": _rollback,
    "releases": _releases,
    "status": _status,
    "logs": _logs,
    "stop": _stop,
    "start": _start,
}

if __name__ == "__main__":
    main()
    os._exit(0)  # all is said and synced; to take the interpreter apart would take as long as a probe

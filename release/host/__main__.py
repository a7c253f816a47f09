"""One request on stdin, events on stdout; stdin closing means: stop at the next safe point."""

import contextlib
import errno
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from packhorse.errors import PackhorseError
from release.host import lock, reconcile, report, request, rollout, state
from release.host.layout import Layout
from release.host.session import Session, StoppedError
from release.host.supervisor import Circus


def main() -> None:
    """Carry out the request, and end with its one result or error."""
    stop = threading.Event()
    for costly in ("psutil", "zmq"):  # free here: whoever started us is still finding out what to ask
        importlib.import_module(costly)
    first = sys.stdin.buffer.readline()
    if not first:  # whoever started us found out that there is nothing to do
        return
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    try:
        data = json.loads(first)
        result = COMMANDS[data["command"]](request.layout(data), data, Session(_emit, stop))
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


def _watch(stop: threading.Event) -> None:
    """Set `stop` when the other end has gone or wants no more. Reads past the buffer: nothing else comes."""
    while os.read(0, 4096):
        pass
    stop.set()


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
    state.make_folders(layout)
    with lock.held(layout, f"deploy of {wanted.version}", wanted.by):
        return rollout.deploy(layout, wanted, Circus(layout), session)


def _status(layout: Layout, data: dict[str, Any], _session: Session) -> dict[str, Any]:
    if not layout.folder.exists():
        return report.nothing(layout)
    state.make_folders(layout)
    return report.status(layout, Circus(layout), data["by"])


def _logs(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    def line(process: str, text: str) -> None:
        session.emit({"event": "line", "process": process, "text": text})

    for process, text in report.logs(layout, data["release"], data["lines"]):
        line(process, text)
    if data["follow"]:
        with contextlib.suppress(StoppedError):
            report.follow(layout, data["release"], line, session.pause)
    return {}


def _stop(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    state.deployed(layout)
    state.make_folders(layout)
    with lock.held(layout, "stop", data["by"]):
        session.step("drain", "Letting the processes finish")
        layout.stopped.touch()
        reconcile.run(layout, Circus(layout))
    return {"app": layout.app}


def _start(layout: Layout, data: dict[str, Any], session: Session) -> dict[str, Any]:
    number = state.deployed(layout)
    state.make_folders(layout)
    with lock.held(layout, "start", data["by"]):
        session.step("start", f"Starting release {number}")
        layout.stopped.unlink(missing_ok=True)
        reconcile.run(layout, Circus(layout))
        session.step("verify", "Asking through the public socket")
        rollout.verify(layout, number)
    return rollout.describe(layout, number)


COMMANDS: dict[str, Callable[[Layout, dict[str, Any], Session], dict[str, Any]]] = {
    "deploy": _deploy,
    "status": _status,
    "logs": _logs,
    "stop": _stop,
    "start": _start,
}

if __name__ == "__main__":
    main()

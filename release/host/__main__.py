"""The agent: carry out one request from stdin, with events on stdout; stdin closing asks it to stop."""

import contextlib
import errno
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.host import request
from release.host.commands.deploy import deploy
from release.host.commands.inspect import doctor, facts, ps, record, show, static_names, status, verify
from release.host.commands.logs import drain, log_sender, logs
from release.host.commands.processes import jobs, maintenance, restart, run, scaling, start, stop
from release.host.commands.releases import configuration, history, reconcile
from release.host.control.channel import Channel
from release.host.control.session import Session
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, Layout
from release.host.processes.circus_ini import Supervisor
from release.host.processes.circusd import Circus

Handler = Callable[[Layout, Any, Supervisor, Session], Mapping[str, object]]
"""Carries out a request, and returns the fields of its result event."""
COMMANDS: dict[type[request.Request], Handler] = {
    request.Deploy: deploy.run,
    request.Rollback: deploy.run,
    request.Configure: deploy.run,
    request.Configuration: configuration.run,
    request.Releases: history.run,
    request.Journal: record.run,
    request.Show: show.run,
    request.Status: status.run,
    request.Logs: logs.run,
    request.LogDrain: drain.run,
    request.Stop: stop.run,
    request.Start: start.run,
    request.Restart: restart.run,
    request.Ps: ps.run,
    request.Scale: scaling.run,
    request.StaticFiles: static_names.run,
    request.Verify: verify.run,
    request.Doctor: doctor.run,
    request.Maintenance: maintenance.run,
    request.Run: run.run,
    request.Jobs: jobs.list_,
    request.Note: record.note,
}
# Modules of a deploy that take long to load: loaded while the controller is still preparing the request.
COSTLY = ("zmq", "release.host.formats.lockfile", "psutil")


def main() -> None:
    """Carry out one request, and end with its result or error."""
    if sys.argv[1:2] == ["boot"]:
        reconcile.boot(Layout(sys.argv[2], SERVER_ROOT, SERVER_RUN))
        return
    if sys.argv[1:2] == ["drain"]:
        app, root, run, to = sys.argv[2:6]
        log_sender.main(Layout(app, Path(root), Path(run)), to)
        return
    if sys.argv[1:2] == ["facts"]:
        layout = Layout(sys.argv[2], SERVER_ROOT, SERVER_RUN)
        facts.write(layout, Path(sys.argv[3]), Circus(layout, supervised=True))
        return
    if sys.argv[1:2] in (["jobs"], ["job"]):
        _timed(Layout(sys.argv[2], SERVER_ROOT, SERVER_RUN), sys.argv[3:])
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
        if asked.layout.separate:
            os.umask(0o022)  # who runs the processes reads what we install, whatever the login shell said
        circus = Circus(asked.layout, supervised=asked.supervised)
        session = Session(_emit, inbox, asked.gates)
        _emit({"event": "result", **COMMANDS[type(asked)](asked.layout, asked, circus, session)})
    except (PackhorseError, OSError) as error:
        shown = _disk_full(error) if isinstance(error, OSError) else error
        fields = {name: getattr(shown, name) for name in ("message", "hint", "detail", "exit_code")}
        _emit({"event": "error", **fields})


def _timed(layout: Layout, names: list[str]) -> None:
    """Start the jobs that are due, or run the one of this name: for the timer."""
    os.umask(0o022)
    if names:
        jobs.execute(layout, names[0], Circus(layout, supervised=True))
    else:
        jobs.tick(layout)


def _emit(event: dict[str, Any]) -> None:
    # The controller may have been killed: then stdin closes, and the work stops at a safe point.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(event).encode() + b"\n")


def _disk_full(error: OSError) -> PackhorseError:
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        raise error
    return PackhorseError(f"The disk is full: {error}", "Free some space and run the command again.")


if __name__ == "__main__":
    main()
    os._exit(0)  # everything is written and synced, and a normal exit takes as long as a probe

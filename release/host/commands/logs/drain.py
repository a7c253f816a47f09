"""Send all that the application logs to the host's journald or syslog, stop it, or say how far it is."""

import json
from dataclasses import asdict

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.commands.logs import logs
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, log_drain, log_reader, releases
from release.host.disk.layout import Layout
from release.host.disk.log_drain import Drain
from release.host.disk.log_reader import LogReader
from release.host.formats import log_line
from release.host.processes import circus_ini
from release.host.processes.circus_ini import Supervisor
from release.host.request import LogDrain

OFF = "off"


def run(layout: Layout, request: LogDrain, circus: Supervisor, session: Session) -> dict[str, object]:
    """Do what is asked, also before the first deploy. Raises PackhorseError without such a receiver."""
    if request.to is not None:
        _require(request.to)
        releases.create_folders(layout)
        with lock.held_on_all_hosts(layout, "logs drain", request.by, request.lock_wait, session):
            session.step("drain", f"Sending logs to {request.to}" if request.to != OFF else "Sending no logs")
            before = log_drain.read(layout)
            if before is None and request.to != OFF:
                _begin_here(layout)
            if request.to != (before.to if before else OFF):
                journal.note(
                    layout.journal, f"logs drain --to {request.to}", request.by, releases.current(layout)
                )
                wanted = None if request.to == OFF else Drain(request.to, request.by, journal.now())
                log_drain.write(layout, wanted)
            reconcile.run(layout, circus)
    drain = log_drain.read(layout)
    shown = {**asdict(drain), **_progress(layout, drain, circus)} if drain else None
    return {"app": layout.app, "drain": shown}


def _require(to: str) -> None:
    """Raise PackhorseError when nobody takes lines there."""
    if to == OFF:
        return
    if to not in log_drain.RECEIVERS:
        known = ", ".join([*log_drain.RECEIVERS, OFF])
        raise PackhorseError(f"Logs cannot be sent to {to}.", f"There are {known}.")
    path = log_drain.RECEIVERS[to]
    if not path.is_socket():
        others = [other for other, socket in log_drain.RECEIVERS.items() if socket.is_socket()]
        hint = f"Send them to {others[0]}." if others else "Install systemd-journald or rsyslog."
        raise PackhorseError(f"There is no {to} on this host: {path} is not there.", hint)


def _begin_here(layout: Layout) -> None:
    """Let what was logged before stay where it is."""
    found = {}
    for name in logs.names(layout):
        reader = LogReader(layout.log(name))
        reader.skip(log_reader.LARGEST)
        reader.go_back(0)
        if position := reader.position():
            found[name] = position
        reader.close()
    # Its folder is the application's: what it may have put there is replaced, and not followed.
    files.write_whole(log_drain.positions_file(layout), json.dumps(found).encode(), 0o664)


def _progress(layout: Layout, drain: Drain, circus: Supervisor) -> dict[str, object]:
    """Whether it runs, and how many bytes it has not sent yet."""
    positions, behind = log_drain.positions(layout), 0
    for name in logs.names(layout):
        if (log_line.source(name) or ("", None))[1] is not None:
            reader = LogReader(layout.log(name), at=positions.get(name))
            behind += reader.unread()
            reader.close()
    running = circus.running() and bool(circus.pids(circus_ini.drain_name(drain.to)))
    return {"running": running, "behind": behind}

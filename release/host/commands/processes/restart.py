"""Restart processes of an application on this host: new ones of the same release replace the old ones."""

import contextlib

from packhorse.errors import PackhorseError
from release.host.commands.processes import scaling
from release.host.commands.releases import switch
from release.host.control.session import Session, StoppedError
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.processes import readiness, watchers
from release.host.processes.circus_ini import Supervisor
from release.host.request import Restart


def run(layout: Layout, request: Restart, circus: Supervisor, session: Session) -> dict[str, object]:
    """Restart them, when it is this host's turn; web without a dropped request, others after their end.

    Raises PackhorseError when nothing of that runs, or the new ones are not healthy: old web processes stay.
    """
    releases.require_current(layout)
    releases.create_folders(layout)
    session.gate("start")
    what = f"restart {request.process}" if request.process else "restart"
    with lock.held(layout, what, request.by, request.lock_wait, session):
        scaling.settled(layout, circus, [request.process] if request.process else [])
        number = releases.require_current(layout)
        running = watchers.of(layout, releases.active(layout))
        chosen = {watcher for watcher in running if request.process in {None, watcher.process}}
        if not chosen:
            start = f"release ps start {request.target_name} {request.process or ''}".rstrip()
            raise PackhorseError(f"{request.process or layout.app} is stopped here.", f"Start it: {start}")
        journal.note(layout.journal, what, request.by, number)
        web = chosen & watchers.web(layout, number)
        for watcher in web:
            session.step("web", f"Starting {watcher.count} beside the old, which end when these are healthy")
            switch.replace_web(layout, circus, number, watcher.count, session.pause)
        if others := chosen - web:
            session.step("restart", f"Restarting {', '.join(sorted(other.process for other in others))}")
            watchers.apply(layout, circus, watchers.of(layout, number) - others)
            watchers.apply(layout, circus, watchers.of(layout, number))
            readiness.await_up(layout, circus, others, session.pause)
        with contextlib.suppress(StoppedError):  # another host has failed; what was done here is right
            session.gate("verdict", release=number)
    return {"app": layout.app, "release": number, "restarted": sorted(each.process for each in chosen)}

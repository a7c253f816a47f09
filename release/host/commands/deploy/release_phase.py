"""Run the release phase: the command `release` of a Procfile, once, before the release starts.

It changes what all releases share, mostly a database. So the journal records its beginning and its end: an
interrupted one is reported, and not repeated without --retry-release.
"""

import re
import time
from collections.abc import Sequence

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.disk.log_reader import LogReader
from release.host.formats import log_line
from release.host.processes import circus_ini, process_table, readiness, watchers
from release.host.processes.watchers import Watcher
from release.host.request import Change

PROCESS = watchers.RELEASE_PHASE
POLL = 0.05
START_TIMEOUT = 20.0


def check(layout: Layout, change: Change) -> None:
    """Raise PackhorseError when the last release phase was interrupted, unless it is to be retried."""
    cut = interrupted(journal.read(layout.journal))
    if cut and not change.retry_release:
        raise PackhorseError(
            interruption(cut),
            f"Look at what it did ({layout.log(_name(cut.release))}); then add --retry-release.",
        )


def interrupted(entries: Sequence[journal.Entry]) -> journal.Entry | None:
    """The beginning of the last release phase, if it has no recorded end."""
    phases = [entry for entry in entries if entry.state in {journal.PHASE_BEGAN, journal.PHASE_ENDED}]
    return phases[-1] if phases and phases[-1].state == journal.PHASE_BEGAN else None


def has_begun(layout: Layout, number: int) -> bool:
    """Whether the release phase of release `number` has begun."""
    entries = journal.read(layout.journal)
    return any(entry.release == number and entry.state == journal.PHASE_BEGAN for entry in entries)


def interruption(entry: journal.Entry) -> str:
    """The message about an interrupted release phase."""
    return (
        f"The release phase of {entry.version} (release {entry.release}) began at {entry.at} and "
        "was cut off: nobody knows what it has done."
    )


def run(layout: Layout, number: int, change: Change, circus: circus_ini.Supervisor, session: Session) -> None:
    """Run the release phase of release `number`, if it has one and runs on this host.

    Raises PackhorseError when it fails or is stopped.
    """
    manifest = releases.read_manifest(layout, number)
    began = journal.Entry(number, journal.PHASE_BEGAN, manifest.version, manifest.by, journal.now())
    cut = interrupted(journal.read(layout.journal))
    if cut:  # with --retry-release: see check
        _end(layout, cut, f"set aside by {manifest.by}")
    if not change.release_phase or PROCESS not in manifest.processes:
        return
    session.step(PROCESS, f"Running {manifest.processes[PROCESS]} (once: the first host runs it for all)")
    journal.append(layout.journal, began)
    status = _status(layout, Watcher(PROCESS, number), circus, session)
    _end(layout, began, f"ended with status {status}")
    if status:
        log = layout.log(_name(number))
        raise PackhorseError(
            f"The release phase of {manifest.project} {manifest.version} ended with status {status}.",
            readiness.forbidden_write(files.last_lines(log))
            or f"Its output is in {log}; correct it, and deploy a new version.",
        )


def _end(layout: Layout, began: journal.Entry, reason: str) -> None:
    entry = journal.Entry(began.release, journal.PHASE_ENDED, began.version, began.by, journal.now(), reason)
    journal.append(layout.journal, entry)


def _name(number: int) -> str:
    return circus_ini.watcher_name(PROCESS, number)


def _status(layout: Layout, watcher: Watcher, circus: circus_ini.Supervisor, session: Session) -> int:
    """Run the command and return its exit status. Raises PackhorseError when it does not come to its end.

    circusd runs it beside the processes of the current release: as their user, within their limits. For
    systemd-run, deploys would need root.
    """
    beside = watchers.of(layout, releases.active(layout))
    for left in layout.logs.glob(
        f"{watcher.name}.log*"
    ):  # the application may have made it: once.py stops at it
        left.unlink()
    watchers.apply(layout, circus, beside | {watcher})
    try:
        status = _await(layout, watcher, circus, session)
    finally:
        watchers.apply(layout, circus, beside)  # ends it, and what it has left in the background
    if status is None:  # it may have come to its end meanwhile
        status = _recorded(layout, watcher)
    if status is None or (status and session.controller.stop.is_set()):
        reason = session.controller.reason if session.controller.stop.is_set() else "it was killed."
        raise PackhorseError(
            f"The release phase was stopped: {reason}", f"Look at what it did: {layout.log(watcher.name)}"
        )
    return status


def _await(layout: Layout, watcher: Watcher, circus: circus_ini.Supervisor, session: Session) -> int | None:
    """Send its output as events until it ends; None: it was killed, or has to be stopped."""
    log, deadline = layout.log(watcher.name), time.monotonic() + START_TIMEOUT
    output, processes = LogReader(log), process_table.alive_of([])
    while True:
        over = session.controller.stop.wait(POLL)
        if not process_table.wait(processes, 0):
            processes = process_table.alive_of(circus.pids(watcher.name))
            begun = log.exists() or time.monotonic() > deadline  # a new circusd may not have started it yet
            over = over or (begun and not processes)
        status = _recorded(layout, watcher)
        for line in output.new_lines():
            session.emit({"event": "line", "process": PROCESS, "text": log_line.parse(line).text})
        if status is not None or over:
            return status


def _recorded(layout: Layout, watcher: Watcher) -> int | None:
    """The exit status that once.py has written beside the log."""
    log = layout.log(watcher.name)
    text = files.last_lines(log.with_name(f"{log.name}.status"))
    return int(text) if re.fullmatch("[0-9]{1,3}", text) else None

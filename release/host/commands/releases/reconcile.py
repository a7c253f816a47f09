"""Make what runs equal to what should run, whatever killed a command, circusd or the host."""

import contextlib
import shutil
from dataclasses import replace

from release.host.commands.releases import switch
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, maintenance, process_table, sockets, watchers

GRACE = 10.0
"""Seconds for the installers and processes of an unfinished release to end."""
INTERRUPTED = "its deploy was interrupted"


def run(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """Repair the state that a killed command, a killed circusd or a power cut left; the lock is held.

    Afterwards conf.d holds the watchers of the active release, and circus runs exactly these; unfinished
    releases are gone, and so are processes without a watcher. Maintenance mode is as its state says; a deploy
    that turned it on for itself, and died, does not keep it on.
    """
    releases.empty_trash(layout)
    _end_trials(layout, circus)
    _end_maintenance(layout)
    switch.run_active(layout, circus)
    _remove_unfinished(layout)


def boot(layout: Layout) -> None:
    """Repair the files that circusd reads, before systemd starts it.

    Not while a command is at work: it has them in order, and circusd was killed under it.
    """
    with contextlib.suppress(lock.BusyError), lock.held(layout, "boot", "systemd"):
        if (number := committed(layout)) != releases.current(layout):
            releases.switch(layout, number)
        _end_maintenance(layout)
        active = releases.active(layout)
        watchers.write(layout, watchers.of(layout, active))
        sockets.link(layout, active)


def committed(layout: Layout) -> int | None:
    """The current release, or while it is on trial the last good one, to which a repair goes back."""
    current, entries = releases.current(layout), journal.read(layout.journal)
    on_trial = current is not None and journal.states(entries).get(current) == journal.TRIAL
    return (journal.last_good(entries) or current) if on_trial else current


def _end_maintenance(layout: Layout) -> None:
    if (state := maintenance.read(layout)) and state.deploy:
        maintenance.end_of_deploy(layout)
        journal.note(layout.journal, f"maintenance off: {INTERRUPTED}", state.by, releases.current(layout))


def _end_trials(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """Fail releases whose deploy died before its commit; the very first stays: it is healthy."""
    entries = journal.read(layout.journal)
    before = journal.last_good(entries)
    for number, entry in journal.outcomes(entries).items():
        if entry.state == journal.TRIAL:
            current = releases.current(layout) == number
            stays = current and before is None
            if current and not stays:
                switch.roll_back(layout, circus, before)
            outcome = journal.GOOD if stays else journal.FAILED
            last = replace(entry, state=outcome, at=journal.now(), reason=INTERRUPTED)
            journal.append(layout.journal, last)


def _remove_unfinished(layout: Layout) -> None:
    """Remove releases without an outcome, and end the processes that still work on one.

    With them goes what uv has unpacked: it is synced while they start (releases.Sync), so that after a power
    cut files in it may be empty, and each later install of that version would fail, or link them.
    A release whose release phase has begun has failed, and stays in the journal.
    """
    entries = journal.read(layout.journal)
    unfinished = set(releases.numbers(layout)) - set(journal.states(entries))
    if not unfinished:
        return
    process_table.end([p.pid for p in process_table.find(layout) if p.release in unfinished], GRACE)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(layout.uv_cache)
    begun = {entry.release: entry for entry in entries if entry.state == journal.PHASE_BEGAN}
    for number in sorted(unfinished):
        if number in begun:
            failed = replace(begun[number], state=journal.FAILED, at=journal.now(), reason=INTERRUPTED)
            journal.append(layout.journal, failed)
        else:
            releases.remove(layout, number)

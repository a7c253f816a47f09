"""What should run (`current`, unless stopped) against what runs: makes them equal, whatever happened."""

import contextlib
from dataclasses import replace

from release.host.commands import switch
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, process_table, sockets, watchers

# For what a killed command has started of a release that is nothing yet.
GRACE = 10.0
INTERRUPTED = "its deploy was interrupted"


def run(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """Repair what a killed command, a killed circusd or a power cut left behind; the lock is held.

    Afterwards: conf.d holds the watchers of the wanted release and circus runs exactly these; releases
    that were never finished are gone; no process lives on without a watcher.
    """
    releases.sweep_trash(layout)
    _end_trials(layout, circus)
    wanted = releases.wanted(layout)
    if wanted is None:
        sockets.point(layout, None)
    watchers.apply(layout, circus, watchers.of(layout, wanted))
    if wanted is not None:
        sockets.lead(layout, wanted)
    _sweep_unfinished(layout)


def boot(layout: Layout) -> None:
    """The same as far as files go, before circusd starts with them.

    A command that is at work has them in order: circusd was killed under it.
    """
    with contextlib.suppress(lock.BusyError), lock.held(layout, "boot", "systemd"):
        entries = journal.read(layout.journal)
        current, before = releases.current(layout), journal.last_good(entries)
        if before is not None and journal.states(entries).get(current or 0) == journal.TRIAL:
            releases.switch(layout, before)
        wanted = releases.wanted(layout)
        watchers.write(layout, watchers.of(layout, wanted))
        sockets.point(layout, wanted)


def _end_trials(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """A release whose deploy died before it was for good goes; the first of all stays: it is healthy."""
    entries = journal.read(layout.journal)
    before = journal.last_good(entries)
    for number, entry in journal.outcomes(entries).items():
        if entry.state == journal.TRIAL:
            current = releases.current(layout) == number
            stays = current and before is None
            if current and not stays:
                switch.back(layout, circus, before)
            outcome = journal.GOOD if stays else journal.FAILED
            last = replace(entry, state=outcome, at=journal.now(), reason=INTERRUPTED)
            journal.append(layout.journal, last)


def _sweep_unfinished(layout: Layout) -> None:
    """Remove releases that never came to an end, good or bad; whoever still works on one is ended.

    One whose release phase has begun is no longer nothing: it has failed.
    """
    entries = journal.read(layout.journal)
    unfinished = set(releases.numbers(layout)) - set(journal.states(entries))
    if not unfinished:
        return
    process_table.end([p.pid for p in process_table.find(layout) if p.release in unfinished], GRACE)
    begun = {entry.release: entry for entry in entries if entry.state == journal.PHASE_BEGAN}
    for number in sorted(unfinished):
        if number in begun:
            failed = replace(begun[number], state=journal.FAILED, at=journal.now(), reason=INTERRUPTED)
            journal.append(layout.journal, failed)
        else:
            releases.remove(layout, number)

"""What should run (`current`, unless stopped) against what runs: makes them equal, whatever happened."""

from dataclasses import replace

from release.host import journal, processes, state, supervisor, switching, watchers
from release.host.layout import Layout

# An orphan's own grace is unknown: its release may be gone.
ORPHAN_GRACE = 10.0


def run(layout: Layout, circus: supervisor.Supervisor) -> None:
    """Repair what a killed command, a killed circusd or a power cut left behind; the lock is held.

    Afterwards: conf.d holds the watchers of the wanted release and circus runs exactly these; releases
    that were never finished are gone; no process lives on without a watcher.
    """
    state.sweep_trash(layout)
    if not circus.running():
        processes.end([process.pid for process in processes.find(layout)], ORPHAN_GRACE)
    _end_trials(layout, circus)
    watchers.apply(layout, circus, watchers.of(layout, state.wanted(layout)))
    _sweep_unfinished(layout)


def boot(layout: Layout) -> None:
    """The same as far as files go, before circusd starts with them."""
    entries = journal.read(layout.journal)
    current, before = state.current(layout), journal.last_good(entries)
    if before is not None and journal.states(entries).get(current or 0) == journal.TRIAL:
        state.switch(layout, before)
    watchers.write(layout, watchers.of(layout, state.wanted(layout)))


def _end_trials(layout: Layout, circus: supervisor.Supervisor) -> None:
    """A release whose deploy died before it was for good goes; the first of all stays: it is healthy."""
    entries = journal.read(layout.journal)
    before = journal.last_good(entries)
    for number, entry in journal.outcomes(entries).items():
        if entry.state == journal.TRIAL:
            current = state.current(layout) == number
            stays = current and before is None
            if current and not stays:
                switching.back(layout, circus, before)
            outcome = journal.GOOD if stays else journal.FAILED
            reason = "its deploy was interrupted"
            journal.append(layout.journal, replace(entry, state=outcome, at=journal.now(), reason=reason))


def _sweep_unfinished(layout: Layout) -> None:
    """Remove releases that never came to an end, good or bad; whoever still builds one is ended."""
    unfinished = set(state.numbers(layout)) - set(journal.states(journal.read(layout.journal)))
    if not unfinished:
        return
    processes.end([p.pid for p in processes.find(layout) if p.release in unfinished], 0)
    for number in sorted(unfinished):
        state.remove(layout, number)

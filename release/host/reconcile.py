"""What should run (`current`, unless stopped) against what runs: makes them equal, whatever happened."""

from packhorse import files
from release.host import journal, processes, state, supervisor
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
    number = state.wanted(layout)
    apply(layout, circus, [] if number is None else [number])
    _record_switch(layout)
    _sweep_unfinished(layout)


def apply(layout: Layout, circus: supervisor.Supervisor, releases: list[int]) -> None:
    """Make exactly the watchers of `releases` run, and wait until others have drained.

    The ini of a watcher that is there already is not touched: circus would restart it.
    """
    wanted = set()
    for number in releases:
        manifest = state.read_manifest(layout, number)
        for process in manifest.processes:
            name = supervisor.watcher_name(process, number)
            wanted.add(name)
            if not layout.watcher_ini(name).exists():
                text = supervisor.watcher_text(layout, process, number, manifest.graceful_timeout)
                # Its temporary name does not end in .ini, so circus never sees half of it.
                files.write_whole(layout.watcher_ini(name), text.encode())
    names = {layout.watcher_ini(name).name for name in wanted}
    for path in layout.watchers.iterdir():  # a killed command also leaves half-written ones
        if path.name not in names:
            path.unlink()
    if _run_exactly(circus, wanted):
        # circus misses children that left their parent, and those of a parent that it had to kill.
        left = [p.pid for p in processes.find(layout) if p.release is not None and p.release not in releases]
        processes.end(left, 0)


def _run_exactly(circus: supervisor.Supervisor, wanted: set[str]) -> bool:
    """Make circus run `wanted`, which is what lies in conf.d; whether watchers may have been taken away."""
    if not wanted:
        circus.quit()
        return True
    if not circus.running():
        circus.start()
        return False
    before = set(circus.watchers())
    if before != wanted:
        circus.reload()
    return bool(before - wanted)


def _record_switch(layout: Layout) -> None:
    """A release that was switched to but not recorded was healthy: the deploy died between the two."""
    number = state.current(layout)
    if number is None or number in journal.states(journal.read(layout.journal)):
        return
    manifest = state.read_manifest(layout, number)
    journal.append(
        layout.journal,
        journal.Entry(
            number,
            journal.GOOD,
            manifest.version,
            manifest.by,
            journal.now(),
            "recorded after an interruption",
        ),
    )


def _sweep_unfinished(layout: Layout) -> None:
    """Remove releases that never came to an end, good or bad; whoever still builds one is ended."""
    unfinished = set(state.numbers(layout)) - set(journal.states(journal.read(layout.journal)))
    if not unfinished:
        return
    processes.end([p.pid for p in processes.find(layout) if p.release in unfinished], 0)
    for number in sorted(unfinished):
        state.remove(layout, number)

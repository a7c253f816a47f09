"""Compute the watchers of a release, write them to conf.d, and make circus run exactly those."""

from collections.abc import Collection
from dataclasses import dataclass, field

from packhorse import files
from release.host.disk import log_drain, releases, scale
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, maintenance, sockets

RELEASE_PHASE = "release"
"""The process type that runs once, before the others start."""


@dataclass(frozen=True)
class Watcher:
    """The `count` processes of one type of one release.

    Those of web are replaced by a `second` watcher, and that by the first, while the other still serves.
    """

    process: str
    release: int
    second: bool = False
    count: int = field(default=1, compare=False)

    @property
    def name(self) -> str:
        """Name in circus."""
        return circus_ini.watcher_name(self.process, self.release, second=self.second)


def of(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """All watchers of release `number` that should run; None: none."""
    if number is None:
        return frozenset()
    scaled = scale.read(layout)
    return frozenset(
        Watcher(process, number, process == "web" and sockets.is_second(layout, number), count)
        for process in releases.read_manifest(layout, number).running
        if (count := scaled.wanted(process))
    )


def overlapping(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """The watchers of release `number` that may run beside another release's (`overlap`)."""
    overlaps = releases.read_manifest(layout, number).overlaps if number else None
    return frozenset(watcher for watcher in of(layout, number) if overlaps and overlaps(watcher.process))


def web(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """The watchers of release `number` that receive HTTP traffic."""
    return frozenset(watcher for watcher in of(layout, number) if watcher.process == "web")


def write(layout: Layout, desired: Collection[Watcher]) -> None:
    """Make conf.d hold exactly `desired`, and the program that answers in maintenance mode.

    In a file that is there only the number of processes changes, or circus would restart them.
    """
    names = {layout.watcher_ini(name).name for name in _names(layout, desired)}
    for path in layout.watchers.iterdir():  # half-written files of a killed command included
        if path.name not in names:
            path.unlink()
    for watcher in desired:
        ini = layout.watcher_ini(watcher.name)
        present = ini.read_text() if ini.exists() else ""
        text = circus_ini.with_count(present, watcher.count) or _text(layout, watcher)
        if text != present:
            # Its temporary name does not end in .ini, so circus never sees half of it.
            files.write_whole(ini, text.encode())
    if layout.maintenance.exists():
        maintenance.install(layout)
    drain = log_drain.read(layout)
    if drain and not (ini := layout.watcher_ini(circus_ini.drain_name(drain.to))).exists():
        files.write_whole(ini, circus_ini.drain_text(layout, drain.to).encode())


def _names(layout: Layout, desired: Collection[Watcher]) -> set[str]:
    always = {circus_ini.MAINTENANCE} if layout.maintenance.exists() else set()
    if drain := log_drain.read(layout):
        always.add(circus_ini.drain_name(drain.to))
    return always | {watcher.name for watcher in desired}


def _text(layout: Layout, watcher: Watcher) -> str:
    manifest = releases.read_manifest(layout, watcher.release)
    timeout = manifest.stop_timeout(watcher.process)
    if watcher.process == RELEASE_PHASE:
        return circus_ini.once_text(layout, watcher.process, watcher.release, timeout)
    slot = sockets.free_slot(layout) if watcher.process == "web" and manifest.port is None else None
    text = circus_ini.watcher_text(layout, watcher.process, watcher.release, timeout, slot)
    return circus_ini.with_count(circus_ini.renamed(text, watcher.name), watcher.count)


def apply(layout: Layout, circus: circus_ini.Supervisor, desired: Collection[Watcher]) -> None:
    """Make circus run exactly `desired`, and wait until all others, and those too many, have drained."""
    write(layout, desired)
    names = _names(layout, desired)
    before = set(circus.watchers()) if circus.running() else set()
    leaving = {name: circus.pids(name) for name in before - names}
    if not desired:
        circus.stop()
    else:
        if not circus.running():
            circus.start()
        there = circus.watchers()
        # systemd may have started it before conf.d was written; a watcher that stops is as good as gone.
        if set(there) != names or circus_ini.STOPPING in there.values():
            circus.reload(leaving if names < before else None)
    groups = [leader for pids in leaving.values() for leader in pids]
    for watcher in desired:
        if watcher.name in before and watcher.process != RELEASE_PHASE:
            # circus compares numbers with those that it started with, and misses the way back.
            groups += circus.scale(watcher.name, watcher.count)
    if groups or leaving or not desired:
        circus.sweep(groups, {watcher.release for watcher in desired})

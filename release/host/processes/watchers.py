"""Compute the watchers of a release, write them to conf.d, and make circus run exactly those."""

from collections.abc import Collection
from dataclasses import dataclass

from packhorse import files
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, sockets

RELEASE_PHASE = "release"
"""The process type that runs once, before the others start."""


@dataclass(frozen=True)
class Watcher:
    """The processes of one type of one release."""

    process: str
    release: int

    @property
    def name(self) -> str:
        """Name in circus."""
        return circus_ini.watcher_name(self.process, self.release)


def of(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """All watchers of release `number`; None: none."""
    if number is None:
        return frozenset()
    return frozenset(Watcher(process, number) for process in releases.read_manifest(layout, number).running)


def overlapping(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """The watchers of release `number` that may run beside another release's (`overlap`)."""
    overlaps = releases.read_manifest(layout, number).overlaps if number else None
    return frozenset(watcher for watcher in of(layout, number) if overlaps and overlaps(watcher.process))


def web(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """The watchers of release `number` that receive HTTP traffic."""
    return frozenset(watcher for watcher in of(layout, number) if watcher.process == "web")


def write(layout: Layout, desired: Collection[Watcher]) -> None:
    """Make conf.d hold exactly `desired`; a file that is there stays as it is, or circus would restart it."""
    names = {layout.watcher_ini(watcher.name).name for watcher in desired}
    for path in layout.watchers.iterdir():  # half-written files of a killed command included
        if path.name not in names:
            path.unlink()
    for watcher in desired:
        ini = layout.watcher_ini(watcher.name)
        if not ini.exists():
            text = _text(layout, watcher)
            # Its temporary name does not end in .ini, so circus never sees half of it.
            files.write_whole(ini, text.encode())


def _text(layout: Layout, watcher: Watcher) -> str:
    manifest = releases.read_manifest(layout, watcher.release)
    timeout = manifest.stop_timeout(watcher.process)
    if watcher.process == RELEASE_PHASE:
        return circus_ini.once_text(layout, watcher.process, watcher.release, timeout)
    slot = sockets.free_slot(layout) if watcher.process == "web" and manifest.port is None else None
    return circus_ini.watcher_text(layout, watcher.process, watcher.release, timeout, slot)


def apply(layout: Layout, circus: circus_ini.Supervisor, desired: Collection[Watcher]) -> None:
    """Make circus run exactly `desired`, and wait until all others have drained."""
    write(layout, desired)
    names = {watcher.name for watcher in desired}
    before = set(circus.watchers()) if circus.running() else set()
    leaving = {name: circus.pids(name) for name in before - names}
    if not names:
        circus.stop()
    else:
        if not circus.running():
            circus.start()
        there = circus.watchers()
        # systemd may have started it before conf.d was written; a watcher that stops is as good as gone.
        if set(there) != names or circus_ini.STOPPING in there.values():
            circus.reload(leaving if names < before else None)
    if leaving or not names:
        groups = [leader for pids in leaving.values() for leader in pids]
        circus.sweep(groups, {watcher.release for watcher in desired})

"""What should run as files in conf.d, and circus told to run exactly that."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from packhorse import files
from release.host import processes, slots, state, supervisor
from release.host.layout import Layout


@dataclass(frozen=True)
class Watcher:
    """The processes of one type of one release."""

    process: str
    release: int

    @property
    def name(self) -> str:
        """What circus calls it."""
        return supervisor.watcher_name(self.process, self.release)


def of(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """All watchers of release `number`; None: none."""
    if number is None:
        return frozenset()
    return frozenset(Watcher(process, number) for process in state.read_manifest(layout, number).running)


def early(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """Those of release `number` that may run beside another release's."""
    overlaps = state.read_manifest(layout, number).overlaps if number else None
    return frozenset(watcher for watcher in of(layout, number) if overlaps and overlaps(watcher.process))


def web(layout: Layout, number: int | None) -> frozenset[Watcher]:
    """Those of release `number` that users ask."""
    return frozenset(watcher for watcher in of(layout, number) if watcher.process == "web")


def write(layout: Layout, wanted: Collection[Watcher]) -> None:
    """Make conf.d hold exactly `wanted`. What is there already is not touched: circus would restart it."""
    names = {layout.watcher_ini(watcher.name).name for watcher in wanted}
    for path in layout.watchers.iterdir():  # a killed command also leaves half-written ones
        if path.name not in names:
            path.unlink()
    for watcher in wanted:
        place = layout.watcher_ini(watcher.name)
        if not place.exists():
            text = _text(layout, watcher)
            # Its temporary name does not end in .ini, so circus never sees half of it.
            files.write_whole(place, text.encode())


def _text(layout: Layout, watcher: Watcher) -> str:
    manifest = state.read_manifest(layout, watcher.release)
    timeout = manifest.stop_timeout(watcher.process)
    slot = slots.free(layout) if watcher.process == "web" and manifest.port is None else None
    return supervisor.watcher_text(layout, watcher.process, watcher.release, timeout, slot)


def apply(layout: Layout, circus: supervisor.Supervisor, wanted: Collection[Watcher]) -> None:
    """Make exactly `wanted` run, and wait until others have drained."""
    write(layout, wanted)
    names = {watcher.name for watcher in wanted}
    before = set(circus.watchers()) if circus.running() else set()
    leaving = {name: circus.pids(name) for name in before - names}
    if not names:
        circus.stop()
    else:
        if not circus.running():
            circus.start()
        there = circus.watchers()
        # systemd may have started it before conf.d was as it is now; what still stops is as good as gone.
        if set(there) != names or supervisor.STOPPING in there.values():
            circus.reload(leaving if names < before else None)
    if leaving or not names:
        # circus misses children that left their parent, and those of a parent that it had to kill.
        processes.kill_groups([leader for pids in leaving.values() for leader in pids])
        processes.end(list(_left(layout, {watcher.release for watcher in wanted})), 0)


def _left(layout: Layout, releases: set[int]) -> Iterator[int]:
    for process in processes.find(layout):
        if process.release is not None and process.release not in releases:
            yield process.pid

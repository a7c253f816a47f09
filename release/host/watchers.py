"""What should run as files in conf.d, and circus told to run exactly that."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from packhorse import files
from release.host import processes, state, supervisor
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


def write(layout: Layout, wanted: Collection[Watcher]) -> None:
    """Make conf.d hold exactly `wanted`. What is there already is not touched: circus would restart it."""
    for watcher in wanted:
        place = layout.watcher_ini(watcher.name)
        if not place.exists():
            timeout = state.read_manifest(layout, watcher.release).stop_timeout(watcher.process)
            text = supervisor.watcher_text(layout, watcher.process, watcher.release, timeout)
            # Its temporary name does not end in .ini, so circus never sees half of it.
            files.write_whole(place, text.encode())
    names = {layout.watcher_ini(watcher.name).name for watcher in wanted}
    for path in layout.watchers.iterdir():  # a killed command also leaves half-written ones
        if path.name not in names:
            path.unlink()


def apply(layout: Layout, circus: supervisor.Supervisor, wanted: Collection[Watcher]) -> None:
    """Make exactly `wanted` run, and wait until others have drained."""
    write(layout, wanted)
    if _run_exactly(circus, {watcher.name for watcher in wanted}):
        # circus misses children that left their parent, and those of a parent that it had to kill.
        processes.end(list(_left(layout, {watcher.release for watcher in wanted})), 0)


def _run_exactly(circus: supervisor.Supervisor, wanted: set[str]) -> bool:
    """Make circus run `wanted`, which is what lies in conf.d; whether watchers may have been taken away."""
    if not wanted:
        circus.stop()
        return True
    if not circus.running():
        circus.start()
        return False
    before = set(circus.watchers())
    if before != wanted:
        circus.reload()
    return bool(before - wanted)


def _left(layout: Layout, releases: set[int]) -> Iterator[int]:
    for process in processes.find(layout):
        if process.release is not None and process.release not in releases:
            yield process.pid

"""From one release to another and back, while both are up: nobody who asks in between is turned away."""

import contextlib
import time

from release.host import health, state, supervisor, watchers
from release.host.layout import Layout


def forth(layout: Layout, circus: supervisor.Supervisor, number: int) -> None:
    """Make `number`, which is up and healthy, the release that runs, and let the one before it finish."""
    state.switch(layout, number)
    watchers.apply(layout, circus, watchers.of(layout, number))


def back(layout: Layout, circus: supervisor.Supervisor, number: int | None) -> None:
    """Make `number` the release that runs again; it comes up beside the one that goes. None: nothing does."""
    failed = state.current(layout)
    state.switch(layout, number)
    wanted = state.wanted(layout)
    both = watchers.of(layout, wanted) | (watchers.of(layout, failed) if wanted else frozenset())
    watchers.apply(layout, circus, both)
    if wanted is not None and wanted != failed:
        name = supervisor.watcher_name("web", wanted)
        manifest = state.read_manifest(layout, wanted)
        with contextlib.suppress(health.UnhealthyError):  # it goes on trying: the new one is worse
            health.wait(layout.probe(wanted), manifest.health, lambda: circus.pids(name), time.sleep)
        watchers.apply(layout, circus, watchers.of(layout, wanted))

"""From one release to another and back, while both are up: nobody who asks in between is turned away."""

import contextlib
import time

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, readiness, sockets, watchers


def forth(layout: Layout, number: int) -> None:
    """Make `number`, which is healthy, the release that users get, and that runs after a boot."""
    releases.switch(layout, number)
    sockets.lead(layout, number)


def complete(layout: Layout, circus: circus_ini.Supervisor, before: int | None, number: int) -> None:
    """Let `number` run whole; the web processes of release `before` stay, for the way back.

    Processes that must not run beside those of before start when these have stopped. Raises PackhorseError
    when they do not stay up.
    """
    late = watchers.of(layout, number) - watchers.early(layout, number)
    if late:
        watchers.apply(layout, circus, watchers.of(layout, number) | watchers.web(layout, before))
        readiness.await_up(layout, circus, late, time.sleep)


def back(layout: Layout, circus: circus_ini.Supervisor, number: int | None) -> None:
    """Make `number` the release that runs again, at once if it still does, else when it has come up.

    None: nothing runs then.
    """
    failed = releases.current(layout)
    if failed != number:
        releases.switch(layout, number)
    wanted = releases.wanted(layout)
    if wanted is None:
        sockets.point(layout, None)
    if wanted is None or wanted == failed:  # nothing has to come up: nobody was switched
        watchers.apply(layout, circus, watchers.of(layout, wanted))
        return
    watchers.apply(layout, circus, watchers.of(layout, wanted) | watchers.web(layout, failed))
    with contextlib.suppress(PackhorseError):  # it goes on trying: the new one is worse
        readiness.await_answer(layout, circus, wanted, time.sleep)
    forth(layout, wanted)
    finish(layout, circus, failed, wanted)


def finish(layout: Layout, circus: circus_ini.Supervisor, old: int | None, new: int) -> None:
    """Stop all of `old`, which gets no more requests: the web processes when they have all they were sent."""
    if watchers.web(layout, old) and old is not None:
        sockets.flush(layout, old)
    watchers.apply(layout, circus, watchers.of(layout, new))

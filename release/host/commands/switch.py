"""Activate a release, roll back to the one before, and drain the old one, without a refused request."""

import contextlib
import time

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, readiness, sockets, watchers


def activate(layout: Layout, number: int) -> None:
    """Route public traffic to release `number`, which is healthy; from now on it runs after a boot."""
    releases.switch(layout, number)
    sockets.route(layout, number)


def start_remaining(layout: Layout, circus: circus_ini.Supervisor, before: int | None, number: int) -> None:
    """Replace the processes that may not overlap; web processes of release `before` stay for a rollback.

    Each starts when its predecessor has stopped. Raises PackhorseError when one does not stay up.
    """
    late = watchers.of(layout, number) - watchers.overlapping(layout, number)
    if late:
        watchers.apply(layout, circus, watchers.of(layout, number) | watchers.web(layout, before))
        readiness.await_up(layout, circus, late, time.sleep)


def roll_back(layout: Layout, circus: circus_ini.Supervisor, number: int | None) -> None:
    """Activate release `number` again: at once if it still runs, else when it is healthy; None: none."""
    failed = releases.current(layout)
    if failed != number:
        releases.switch(layout, number)
    active = releases.active(layout)
    if active is None:
        sockets.link(layout, None)
    if active is None or active == failed:  # the failed release was never activated
        watchers.apply(layout, circus, watchers.of(layout, active))
        return
    watchers.apply(layout, circus, watchers.of(layout, active) | watchers.web(layout, failed))
    with contextlib.suppress(PackhorseError):  # circus goes on restarting it; the failed one is no better
        readiness.await_answer(layout, circus, active, time.sleep)
    activate(layout, active)
    drain(layout, circus, failed, active)


def drain(layout: Layout, circus: circus_ini.Supervisor, old: int | None, new: int) -> None:
    """Stop release `old`, which gets no new connections, when it has accepted all that it got."""
    if watchers.web(layout, old) and old is not None:
        sockets.drain_backlog(layout, old)
    watchers.apply(layout, circus, watchers.of(layout, new))

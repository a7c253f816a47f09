"""Activate a release, roll back to the one before, and drain the old one, without a refused request."""

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, maintenance, readiness, sockets, watchers


def run_active(layout: Layout, circus: circus_ini.Supervisor) -> None:
    """Make circus run the active release, and route public traffic to it, or to nothing.

    In maintenance mode, to the program that answers then, as soon as it does.
    """
    active = releases.active(layout)
    if active is None:
        sockets.link(layout, None)
    reopen(layout, active)
    watchers.apply(layout, circus, watchers.of(layout, active))
    if layout.maintenance.exists() and circus.running():
        maintenance.await_up(layout)
    if active is not None:
        sockets.route(layout, active)


def reopen(layout: Layout, number: int | None) -> None:
    """Route public traffic to release `number` again when maintenance mode has been turned off.

    The program that answered meanwhile has got its last connection, and may be stopped.
    """
    if maintenance.has_ended(layout):
        sockets.route(layout, number)
        maintenance.drain(layout)


def activate(layout: Layout, number: int) -> None:
    """Route public traffic to release `number`, which is healthy; from now on it runs after a boot."""
    releases.switch(layout, number)
    sockets.route(layout, number)


def start_remaining(
    layout: Layout,
    circus: circus_ini.Supervisor,
    before: int | None,
    number: int,
    await_ready: Callable[[Collection[watchers.Watcher]], None],
) -> None:
    """Replace the processes that may not overlap; web processes of release `before` stay for a rollback.

    Each starts when its predecessor has stopped; `await_ready` may raise for those that are not ready.
    """
    late = watchers.of(layout, number) - watchers.overlapping(layout, number)
    if late:
        watchers.apply(layout, circus, watchers.of(layout, number) | watchers.web(layout, before))
        await_ready(late)


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
        readiness.await_answer(layout, circus, watchers.web(layout, active), time.sleep)
    activate(layout, active)
    drain(layout, circus, failed, active)


def drain(layout: Layout, circus: circus_ini.Supervisor, old: int | None, new: int) -> None:
    """Stop release `old`, which gets no new connections, when it has accepted all that it got."""
    if watchers.web(layout, old) and old is not None:
        sockets.drain_backlog(layout, old, sockets.private(layout, old))
    watchers.apply(layout, circus, watchers.of(layout, new))


def replace_web(
    layout: Layout,
    circus: circus_ini.Supervisor,
    number: int,
    count: int,
    pause: Callable[[float], None],
) -> None:
    """Replace the web processes of release `number`, which serves, by `count` new ones, as a deploy does.

    A server that is told to end while it still accepts cuts off requests that it has not read yet: so it
    gets none any more when it is. Raises PackhorseError when the new ones are not healthy; then the old stay.
    """
    if releases.read_manifest(layout, number).port is not None:
        raise PackhorseError(
            f"An earlier Packhorse installed release {number}, with a port of its own: two cannot share it.",
            "Deploy it again.",
        )
    running = watchers.of(layout, number)
    (old,) = watchers.web(layout, number)
    new = replace(old, second=not old.second, count=count)
    try:
        watchers.apply(layout, circus, running | {new})
        readiness.await_answer(layout, circus, {new}, pause)
    except (PackhorseError, OSError):
        watchers.apply(layout, circus, running)
        raise
    before = sockets.of_watcher(layout, number, second=old.second)
    sockets.link_to(layout, sockets.of_watcher(layout, number, second=new.second))
    sockets.drain_backlog(layout, number, before)
    watchers.apply(layout, circus, running - {old} | {new})

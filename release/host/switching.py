"""From one release to another and back, while both are up: nobody who asks in between is turned away."""

import contextlib
import time

from packhorse.errors import PackhorseError
from release.host import probing, slots, state, supervisor, watchers
from release.host.layout import Layout


def forth(layout: Layout, number: int) -> None:
    """Make `number`, which is healthy, the release that users get, and that runs after a boot."""
    state.switch(layout, number)
    slots.lead(layout, number)


def finish(layout: Layout, circus: supervisor.Supervisor, before: int | None, number: int) -> None:
    """Let release `before` come to its end, which gets no more requests, and `number` run whole.

    Processes that must not run beside those of before start when these have stopped. Raises PackhorseError
    when they do not stay up.
    """
    late = watchers.of(layout, number) - watchers.early(layout, number)
    if late:
        watchers.apply(layout, circus, watchers.of(layout, number) | watchers.web(layout, before))
        probing.await_up(layout, circus, late, time.sleep)
    _let_finish(layout, circus, before, number)


def back(layout: Layout, circus: supervisor.Supervisor, number: int | None) -> None:
    """Make `number` the release that runs again; it comes up beside the one that goes. None: nothing does."""
    failed = state.current(layout)
    if failed != number:
        state.switch(layout, number)
    wanted = state.wanted(layout)
    if wanted is None:
        slots.point(layout, None)
    if wanted is None or wanted == failed:  # nothing has to come up: nobody was switched
        watchers.apply(layout, circus, watchers.of(layout, wanted))
        return
    watchers.apply(layout, circus, watchers.of(layout, wanted) | watchers.web(layout, failed))
    with contextlib.suppress(PackhorseError):  # it goes on trying: the new one is worse
        probing.await_answer(layout, circus, wanted, time.sleep)
    forth(layout, wanted)
    _let_finish(layout, circus, failed, wanted)


def _let_finish(layout: Layout, circus: supervisor.Supervisor, old: int | None, new: int) -> None:
    """Stop all of `old`, the web processes when all that they were sent is with them."""
    if watchers.web(layout, old) and old is not None:
        slots.flush(layout, old)
    watchers.apply(layout, circus, watchers.of(layout, new))

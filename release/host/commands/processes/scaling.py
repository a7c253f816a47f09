"""Scale an application on this host: run more or fewer processes of some types, without a dropped request."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from packhorse.errors import PackhorseError
from release.host.commands.releases import reconcile, switch
from release.host.control.session import Session
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.processes import readiness, sockets, watchers
from release.host.processes.circus_ini import Supervisor
from release.host.request import Scale


def run(layout: Layout, request: Scale, circus: Supervisor, session: Session) -> dict[str, object]:
    """Scale, or only say what the scale is. Before the first deploy it is kept for that.

    Raises PackhorseError for a type that the current release has not, and when new processes do not stay up;
    then they are wanted all the same, and circus goes on trying.
    """
    for process, count in request.counts.items():
        scale.check(process, count)
    if not request.counts:
        return _result(layout, changed={})
    releases.create_folders(layout)
    with lock.held_on_all_hosts(
        layout, f"scale {text(request.counts)}", request.by, request.lock_wait, session
    ):
        if releases.current(layout) is not None:
            settled(layout, circus, request.counts)
        present = scale.read(layout)
        changed = {name: n for name, n in request.counts.items() if present.counts.get(name) != n}
        if changed:
            session.step("scale", text(changed))
            reason = Reason(f"scale {text(changed)}", request.by)
            apply(layout, circus, session, present.with_counts(changed), reason)
    return _result(layout, changed)


def text(counts: Mapping[str, int]) -> str:
    """`counts` as the command line has them."""
    return " ".join(f"{process}={count}" for process, count in counts.items())


def settled(layout: Layout, circus: Supervisor, processes: Collection[str]) -> None:
    """Repair what a killed command left, and have all numbers on disk; the lock is held.

    Raises PackhorseError when the current release has not all `processes`.
    """
    reconcile.run(layout, circus)
    number = releases.require_current(layout)
    scale.settle(layout, number)
    manifest = releases.read_manifest(layout, number)
    if unknown := [process for process in processes if process not in manifest.running]:
        raise PackhorseError(
            f"The Procfile of {manifest.project} {manifest.version} (release {number}) has no {unknown[0]}.",
            f"It has: {', '.join(manifest.running)}",
        )


@dataclass(frozen=True)
class Reason:
    """The command `what`, given `by` somebody, for the journal."""

    what: str
    by: str


def apply(layout: Layout, circus: Supervisor, session: Session, wanted: scale.Scale, reason: Reason) -> None:
    """Make it as `wanted`; wait until new processes are ready.

    What is on disk counts: a kill anywhere leaves either the old numbers or the new ones.
    """
    number, present, active = releases.current(layout), scale.read(layout), releases.active(layout)
    before = {watcher: watcher.count for watcher in watchers.of(layout, active)}
    web = wanted.wanted("web")
    if number and releases.read_manifest(layout, number).port is not None and web > 1:
        raise PackhorseError(
            f"An earlier Packhorse installed release {number}, with a port of its own: for one process only.",
            "Deploy it again, then scale.",
        )
    journal.note(layout.journal, reason.what, reason.by, number)
    if watchers.web(layout, active) and 0 < web < present.wanted("web"):
        session.step("probe", f"Starting {web} of web instead of {present.wanted('web')}")
        switch.replace_web(layout, circus, active or 0, web, session.pause)
    scale.write(layout, wanted)
    if active:
        _bring_together(layout, circus, session, active, before)


def _bring_together(
    layout: Layout,
    circus: Supervisor,
    session: Session,
    active: int,
    before: Mapping[watchers.Watcher, int],
) -> None:
    """Run what the scale says of release `active`, of which `before` ran; wait until what is new is ready."""
    desired = watchers.of(layout, active)
    web = watchers.web(layout, active)
    if not web:
        _close(layout, active, before)
    watchers.apply(layout, circus, desired)
    more = {watcher for watcher in desired if watcher.count > before.get(watcher, 0)}
    if more:
        session.step("ready", "Waiting until the new processes are ready")
        readiness.await_answer(layout, circus, web & more, session.pause)
        readiness.await_up(layout, circus, more - web, session.pause)
    sockets.route(layout, active)


def _close(layout: Layout, active: int, before: Mapping[watchers.Watcher, int]) -> None:
    """Let nothing more reach web processes of release `active` that are to end, and take what is waiting."""
    where = sockets.private(layout, active)
    sockets.link_to(layout, None)
    if any(watcher.process == "web" for watcher in before):
        sockets.drain_backlog(layout, active, where)


def _result(layout: Layout, changed: Mapping[str, int]) -> dict[str, object]:
    """The answer: each type of the current release, or what is kept for the first one."""
    scaled, number = scale.read(layout), releases.current(layout)
    types = releases.read_manifest(layout, number).running if number else list(scaled.counts)
    return {
        "app": layout.app,
        "release": number,
        "scale": {process: scaled.count(process) for process in types},
        "stopped": [process for process in types if process in scaled.stopped],
        "changed": dict(changed),
    }

"""Scale an application on this host: run more or fewer processes of some types, without a dropped request."""

from collections.abc import Mapping

from packhorse.errors import PackhorseError
from release.host.commands import reconcile, switch
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
    with lock.held(layout, f"scale {text(request.counts)}", request.by, request.lock_wait, session):
        number = releases.current(layout)
        if number is not None:
            reconcile.run(layout, circus)
            number = releases.require_current(layout)
            scale.settle(layout, number)
            _require_types(layout, number, request.counts)
        present = scale.read(layout)
        changed = {name: n for name, n in request.counts.items() if present.counts.get(name) != n}
        if changed:
            session.step("scale", text(changed))
            _scale(layout, circus, session, present.with_counts(changed), request.by)
    return _result(layout, changed)


def text(counts: Mapping[str, int]) -> str:
    """`counts` as the command line has them."""
    return " ".join(f"{process}={count}" for process, count in counts.items())


def _require_types(layout: Layout, number: int, counts: Mapping[str, int]) -> None:
    manifest = releases.read_manifest(layout, number)
    unknown = [process for process in counts if process not in manifest.running]
    if unknown:
        raise PackhorseError(
            f"The Procfile of {manifest.project} {manifest.version} (release {number}) has no {unknown[0]}.",
            f"It has: {', '.join(manifest.running)}",
        )
    if manifest.port is not None and counts.get("web", 1) > 1:
        raise PackhorseError(
            f"An earlier Packhorse installed release {number}, with a port of its own: for one process only.",
            "Deploy it again, then scale.",
        )


def _scale(layout: Layout, circus: Supervisor, session: Session, wanted: scale.Scale, by: str) -> None:
    """Make it so. What is on disk counts: a kill anywhere leaves either the old numbers or the new ones."""
    number, present = releases.current(layout), scale.read(layout)
    active = releases.active(layout)
    before = {watcher: watcher.count for watcher in watchers.of(layout, active)}
    if active and 0 < wanted.wanted("web") < present.wanted("web") and watchers.web(layout, active):
        session.step("probe", f"Starting {wanted.wanted('web')} instead of {present.wanted('web')} web")
        switch.replace_web(layout, circus, active, wanted.wanted("web"), session.pause)
    scale.write(layout, wanted)
    difference = {n: c for n, c in wanted.counts.items() if present.counts.get(n) != c}
    journal.note(layout.journal, f"scale {text(difference)}", by, number)
    if active:
        bring_together(layout, circus, session, active, before)


def bring_together(
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
    sockets.link_to(layout, None)
    for old in (watcher for watcher in before if watcher.process == "web"):
        sockets.drain_backlog(layout, active, sockets.of_watcher(layout, active, second=old.second))


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

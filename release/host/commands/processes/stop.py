"""Stop an application, or some of its processes: they drain, and stay stopped after a boot and a deploy."""

from release.host.commands.processes import scaling
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.processes.circus_ini import Supervisor
from release.host.request import Stop


def run(layout: Layout, request: Stop, circus: Supervisor, session: Session) -> dict[str, object]:
    """Stop it. Raises PackhorseError when it was never deployed, or has no such process type."""
    number = releases.require_current(layout)
    releases.create_folders(layout)
    what = f"stop {request.process}" if request.process else "stop"
    with lock.held_on_all_hosts(layout, what, request.by, request.lock_wait, session):
        if request.process:
            scaling.settled(layout, circus, [request.process])
            wanted = scale.read(layout).with_stopped([request.process], stopped=True)
            session.step("drain", f"Letting {request.process} finish")
            scaling.apply(layout, circus, session, wanted, scaling.Reason(what, request.by))
        else:
            session.step("drain", "Letting the processes finish")
            journal.note(layout.journal, what, request.by, number)
            layout.stopped.touch()
            reconcile.run(layout, circus)
    return {"app": layout.app, "process": request.process}

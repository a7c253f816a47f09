"""Stop an application: drain its processes; it stays stopped after a boot."""

from release.host.commands import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.processes.circus_ini import Supervisor
from release.host.request import Stop


def run(layout: Layout, request: Stop, circus: Supervisor, session: Session) -> dict[str, object]:
    """Stop the application. Raises PackhorseError when it was never deployed."""
    releases.require_current(layout)
    releases.create_folders(layout)
    with lock.held(layout, "stop", request.by):
        session.step("drain", "Letting the processes finish")
        layout.stopped.touch()
        journal.note(layout.journal, "stop", request.by, releases.current(layout))
        reconcile.run(layout, circus)
    return {"app": layout.app}

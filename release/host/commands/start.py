"""Start an application that was stopped: the release that ran then."""

from release.host.commands import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.install import integrity
from release.host.processes import public_address
from release.host.processes.circus_ini import Supervisor
from release.host.request import Start


def run(layout: Layout, request: Start, circus: Supervisor, session: Session) -> dict[str, object]:
    """Start the application. Raises PackhorseError when it was never deployed, or does not become healthy."""
    number = releases.require_current(layout)
    releases.create_folders(layout)
    with lock.held(layout, "start", request.by):
        if layout.separate:  # else the processes may have written into their release themselves
            integrity.check(layout, number)
        session.step("start", f"Starting release {number}")
        layout.stopped.unlink(missing_ok=True)
        journal.note(layout.journal, "start", request.by, number)
        reconcile.run(layout, circus)
        if scale.serves(layout, number):
            session.step("verify", "Probing the public address")
            public_address.verify(layout, number)
    return public_address.as_result(layout, number)

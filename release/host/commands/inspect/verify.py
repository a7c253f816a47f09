"""Compare the files of all releases on this host with what was installed."""

from release.host.control.session import Session
from release.host.disk import lock, releases
from release.host.disk.layout import Layout
from release.host.install import integrity
from release.host.processes.circus_ini import Supervisor
from release.host.request import Verify


def run(layout: Layout, request: Verify, _circus: Supervisor, session: Session) -> dict[str, object]:
    """Check every release. Raises PackhorseError that names the files of the newest one that is not right."""
    releases.require_current(layout)
    with lock.held(layout, "verify", request.by, request.lock_wait, session):
        ready = releases.ready(layout)
        for number in reversed(ready):
            session.step("verify", f"Reading release {number}")
            integrity.check(layout, number)
    return {"app": layout.app, "releases": ready}

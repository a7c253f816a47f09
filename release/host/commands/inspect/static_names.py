"""Name the static files of all releases here, and let no command change them while others go by that."""

from release.host.control.session import Session
from release.host.disk import lock, releases, static_files
from release.host.disk.layout import Layout
from release.host.processes.circus_ini import Supervisor
from release.host.request import StaticFiles


def run(layout: Layout, request: StaticFiles, _circus: Supervisor, session: Session) -> dict[str, object]:
    """Send their names at the gate `start`, with the lock; also of a release that a killed deploy left."""
    session.gate("lock")
    try:
        layout.folder.mkdir(parents=True, exist_ok=True)  # for the lock: a first deploy may come meanwhile
    except PermissionError:  # of a host that is not provisioned: no deploy can begin there either
        session.gate("start", names=[])
        return {"app": layout.app, "releases": []}
    with lock.held(layout, "assets prune", request.by, request.lock_wait, session):
        numbers = releases.numbers(layout)
        names = {name for number in numbers for name in static_files.names(layout, number)}
        session.gate("start", names=sorted(names))
    return {"app": layout.app, "releases": numbers}

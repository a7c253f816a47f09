"""Turn maintenance mode on or off on this host, or say how it is; no process of the application changes."""

import contextlib

from packhorse.errors import PackhorseError
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.formats import open_paths
from release.host.processes import maintenance
from release.host.processes.circus_ini import Supervisor
from release.host.request import Maintenance


def run(layout: Layout, request: Maintenance, circus: Supervisor, session: Session) -> dict[str, object]:
    """Do what is asked, also before the first deploy. When it cannot be turned on, it is as before."""
    if request.on is not None:
        releases.create_folders(layout)
        what = f"maintenance {'on' if request.on else 'off'}"
        with lock.held_on_all_hosts(layout, what, request.by, request.lock_wait, session):
            before = maintenance.read(layout)
            session.step("maintain", "Answering 503" if request.on else "Answering again")
            wanted = _wanted(request)
            journal.note(layout.journal, _noted(request), request.by, releases.current(layout))
            _change(layout, wanted)
            try:
                reconcile.run(layout, circus)
            except PackhorseError:
                if request.on:
                    _change(layout, before)
                    with contextlib.suppress(PackhorseError):
                        reconcile.run(layout, circus)
                raise
    return {"app": layout.app, "maintenance": maintenance.as_result(layout)}


def _wanted(request: Maintenance) -> maintenance.State | None:
    if not request.on:
        return None
    return maintenance.State(
        request.by, journal.now(), request.retry_after, open_paths.check(request.allow), request.page
    )


def _change(layout: Layout, state: maintenance.State | None) -> None:
    if state:
        maintenance.write(layout, state)
    else:
        layout.maintenance.unlink(missing_ok=True)


def _noted(request: Maintenance) -> str:
    """The command as the journal shows it."""
    if not request.on:
        return "maintenance off"
    parts = ["maintenance on", *(f"--allow {path}" for path in request.allow)]
    return " ".join([*parts, "--page" if request.page else ""]).strip()

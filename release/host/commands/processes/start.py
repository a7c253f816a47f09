"""Start an application that was stopped: the release that ran then, or some of its processes."""

from packhorse.errors import PackhorseError
from release.host.commands.processes import scaling
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.install import integrity
from release.host.processes import public_address
from release.host.processes.circus_ini import Supervisor
from release.host.request import Start


def run(layout: Layout, request: Start, circus: Supervisor, session: Session) -> dict[str, object]:
    """Start it. Raises PackhorseError when it was never deployed, or does not become healthy."""
    number = releases.require_current(layout)
    releases.create_folders(layout)
    what = f"start {request.process}" if request.process else "start"
    with lock.held_on_all_hosts(layout, what, request.by, request.lock_wait, session):
        if layout.separate:  # else the processes may have written into their release themselves
            integrity.check(layout, number)
        if request.process:
            _start_type(layout, request.process, request, circus, session)
        else:
            session.step("start", f"Starting release {number}")
            journal.note(layout.journal, what, request.by, number)
            if layout.scale.exists():
                scale.write(layout, scale.read(layout).with_all_started())
            layout.stopped.unlink(missing_ok=True)
            reconcile.run(layout, circus)
        if not layout.stopped.exists() and scale.serves(layout, number):
            session.step("verify", "Probing the public address")
            public_address.verify(layout, number)
    return {**public_address.as_result(layout, number), "process": request.process}


def _start_type(layout: Layout, process: str, request: Start, circus: Supervisor, session: Session) -> None:
    """Start the processes of one type, as many as there were."""
    scaling.settled(layout, circus, [process])
    present = scale.read(layout)
    if layout.stopped.exists():
        raise PackhorseError(
            f"All of {layout.app} is stopped.", f"Start it: release start {request.target_name}"
        )
    if not present.count(process):
        raise PackhorseError(
            f"{process} has 0 processes.", f"Say how many: release scale {request.target_name} {process}=1"
        )
    session.step("start", f"Starting {process}")
    wanted = present.with_stopped([process], stopped=False)
    scaling.apply(layout, circus, session, wanted, scaling.Reason(f"start {process}", request.by))

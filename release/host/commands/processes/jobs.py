"""Scheduled jobs: start those that are due, and list them with what became of each.

A timer of systemd, which provisioning makes once, starts `tick` every minute on the host that runs the jobs.
Which jobs there are, the current release says: so no deploy writes units, and a rollback brings jobs back.
"""

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packhorse import calendar
from packhorse.errors import PackhorseError
from release.host.commands.processes import run
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import jobs, journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, Job
from release.host.processes.circus_ini import Supervisor
from release.host.request import Change, Jobs, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

POLL = 2.0
TIMERS = Path("/etc/systemd/system")
NOT_RUN = 255


class Alone:
    """The controller of a job that a timer has started: nobody who could stop it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reason = ""
        self.receive: Callable[[Mapping[str, Any]], object] = lambda _: None

    def order(self, gate: str) -> None:
        """Open no gate."""


def list_(layout: Layout, _request: Jobs, _circus: Supervisor, _session: Session) -> dict[str, Any]:
    """List the jobs of the current release."""
    number = releases.current(layout) if layout.folder.exists() else None
    here = jobs.is_here(layout)
    return {"app": layout.app, "release": number, "here": here, "jobs": listed(layout, number)}


def listed(layout: Layout, number: int | None) -> list[dict[str, Any]]:
    """Rows about the jobs of release `number`: `last` is {} before the first run, `next` None without one."""
    rows = []
    active = jobs.is_here(layout) and not layout.stopped.exists()
    for job in releases.read_manifest(layout, number).jobs if number is not None else []:
        due, last = jobs.read(layout, job.name, "due"), jobs.read(layout, job.name, "last")
        known = active and due.get("calendars") == job.calendars
        rows.append(
            {
                "job": job.name,
                "schedule": job.schedule,
                "command": job.command,
                "state": _state(last, running=jobs.is_running(layout, job.name)),
                "last": last,
                "next": due["at"] if known else None,
            }
        )
    return rows


def _state(last: dict[str, Any], *, running: bool) -> str:
    if running:
        return "running"
    if not last:
        return "never ran"
    if "status" not in last:
        return "cut off"
    return "ok" if last["status"] == 0 else f"failed: {last.get('reason') or 'status ' + str(last['status'])}"


def check(layout: Layout, change: Change, content: Content, session: Session) -> None:
    """Warn of jobs that nothing would start. Raises PackhorseError for times that are none."""
    if not content.jobs:
        return
    if not change.supervised:
        session.warn(
            f"There are no timers here: jobs run when told to: release jobs run {change.target_name} JOB"
        )
        return
    for job in content.jobs:
        calendar.next_time(job.calendars, time.time())
    if change.runs_jobs and not (TIMERS / f"packhorse-jobs@{layout.app}.timer").exists():
        session.warn(f"Nothing starts the jobs on this host yet: release provision {change.target_name}")


def settle(layout: Layout, change: Change, session: Session) -> None:
    """Let this host run the jobs of the current release, or none of them any more."""
    if not change.supervised:
        return
    try:
        jobs.set_here(layout, here=change.runs_jobs)
        present = _current(layout) if change.runs_jobs else []
        jobs.forget_times(layout, keep={job.name for job in present})
        for job in present:
            if jobs.read(layout, job.name, "due").get("calendars") != job.calendars:  # else it may be due now
                _due(layout, job, time.time())
    except (PackhorseError, OSError) as error:  # the release is for good: its jobs are not worth going back
        session.warn(f"The jobs are not as they should be: {error}")


def _current(layout: Layout) -> list[Job]:
    """The jobs of the release that serves."""
    number = reconcile.committed(layout)
    return releases.read_manifest(layout, number).jobs if number is not None else []


def _due(layout: Layout, job: Job, now: float) -> bool:
    """Whether the job is due; then, and when its times are new, the next time is written down.

    One that was missed while the host was down, or while the clock was wrong, is due once.
    """
    state = jobs.read(layout, job.name, "due")
    known = state.get("calendars") == job.calendars
    if known and (state["at"] is None or now < state["at"]):
        return False
    jobs.write(layout, job.name, "due", calendars=job.calendars, at=calendar.next_time(job.calendars, now))
    return known


def tick(layout: Layout) -> None:
    """Start the jobs that are due, each in a process of its own, until none runs any more.

    That also when this host is to run no more jobs: those that run would end with us (systemd.kill(5)).
    """
    running: list[subprocess.Popen[bytes]] = []
    while True:
        if jobs.is_here(layout):
            running += _start_due(layout)
        running = [process for process in running if process.poll() is None]
        if not running:
            return
        time.sleep(POLL)


def _start_due(layout: Layout) -> list[subprocess.Popen[bytes]]:
    """Start the jobs that are due; where that fails, the journal of systemd has the reason."""
    agent = [sys.executable, "-I", str(layout.folder / "agent" / "current.pyz")]
    started, known = [], list[Job]()
    with _said("The jobs are not known"):
        known = _current(layout)
    for job in known:
        with _said(f"{job.name} was not started"):
            # While the application is stopped they are left out, and not made up for.
            if _due(layout, job, time.time()) and not layout.stopped.exists():
                started.append(subprocess.Popen([*agent, "job", layout.app, job.name]))
    return started


@contextlib.contextmanager
def _said(what: str) -> "Iterator[None]":
    """Say on stderr what failed, and let the rest go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # such as a manifest of a version that came while a job runs
        sys.stderr.write(f"{what}: {type(error).__name__}: {error}\n")


def execute(layout: Layout, name: str, circus: Supervisor) -> None:
    """Run the job `name` for the timer: to its end, with what it writes in its log."""
    request = Run(
        app=layout.app,
        root=str(layout.root),
        run=str(layout.run),
        supervised=True,
        by=run.TIMER,
        target_name="",
        arguments=[],
        terminal=None,
        job=name,
    )
    before = jobs.read(layout, name, "last")
    session = Session(lambda _: None, Alone())
    try:
        run.run(layout, request, circus, session)
    except run.RunsAlreadyError:
        pass  # overlap = "forbid"
    except PackhorseError as error:
        if jobs.read(layout, name, "last") == before:
            jobs.write(layout, name, "last", began=journal.now(), status=NOT_RUN, reason=error.message)
        sys.exit(f"{name}: {error.message}")

"""Run the release phase: the command `release` of a Procfile, once, before the release starts.

It changes what all releases share, mostly a database. So the journal records its beginning and its end: an
interrupted one is reported, and not repeated without --retry-release.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.request import Change

PROCESS = "release"


def check(layout: Layout, change: Change) -> None:
    """Raise PackhorseError when the last release phase was interrupted, unless it is to be retried."""
    cut = interrupted(journal.read(layout.journal))
    if cut and not change.retry_release:
        raise PackhorseError(
            interruption(cut),
            f"Look at what it did ({layout.log(_name(cut.release))}); then add --retry-release.",
        )


def interrupted(entries: Sequence[journal.Entry]) -> journal.Entry | None:
    """The beginning of the last release phase, if it has no recorded end."""
    phases = [entry for entry in entries if entry.state in {journal.PHASE_BEGAN, journal.PHASE_ENDED}]
    return phases[-1] if phases and phases[-1].state == journal.PHASE_BEGAN else None


def has_begun(layout: Layout, number: int) -> bool:
    """Whether the release phase of release `number` has begun."""
    entries = journal.read(layout.journal)
    return any(entry.release == number and entry.state == journal.PHASE_BEGAN for entry in entries)


def interruption(entry: journal.Entry) -> str:
    """The message about an interrupted release phase."""
    return (
        f"The release phase of {entry.version} (release {entry.release}) began at {entry.at} and "
        "was cut off: nobody knows what it has done."
    )


def run(layout: Layout, number: int, change: Change, session: Session) -> None:
    """Run the release phase of release `number`, if it has one and runs on this host.

    Raises PackhorseError when it fails or is stopped.
    """
    manifest = releases.read_manifest(layout, number)
    began = journal.Entry(number, journal.PHASE_BEGAN, manifest.version, manifest.by, journal.now())
    cut = interrupted(journal.read(layout.journal))
    if cut:  # with --retry-release: see check
        _end(layout, cut, f"set aside by {manifest.by}")
    if not change.release_phase or PROCESS not in manifest.processes:
        return
    session.step(PROCESS, f"Running {manifest.processes[PROCESS]}")
    journal.append(layout.journal, began)
    status = _Run(layout, number, manifest.stop_timeout(PROCESS), session).status()
    _end(layout, began, f"ended with status {status}")
    if status:
        raise PackhorseError(
            f"The release phase of {manifest.project} {manifest.version} ended with status {status}.",
            f"Its output is in {layout.log(_name(number))}; correct it, and deploy a new version.",
        )


def _end(layout: Layout, began: journal.Entry, reason: str) -> None:
    entry = journal.Entry(began.release, journal.PHASE_ENDED, began.version, began.by, journal.now(), reason)
    journal.append(layout.journal, entry)


def _name(number: int) -> str:
    return f"{PROCESS}.{number}"


@dataclass(frozen=True)
class _Run:
    """A running release phase; `grace`: seconds for it to end after SIGTERM."""

    layout: Layout
    number: int
    grace: float
    session: Session

    def status(self) -> int:
        """Run it and return its exit status. Raises PackhorseError when it is stopped."""
        with subprocess.Popen(
            [sys.executable, "-IS", str(self.layout.launcher(self.number)), PROCESS],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            shown = threading.Thread(target=self._show, args=(process,))
            shown.start()
            while process.poll() is None and not self.session.controller.stop.wait(0.05):
                pass
            stopped = process.poll() is None
            if stopped:
                self._stop(process)
            # A grandchild that lives on would hold the pipe open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            shown.join()
        if stopped and process.returncode:
            raise PackhorseError(
                f"The release phase was stopped: {self.session.controller.reason}",
                f"Look at what it did: {self.layout.log(_name(self.number))}",
            )
        return process.returncode

    def _show(self, process: "subprocess.Popen[bytes]") -> None:
        """Write its output to the log, and send it as events."""
        assert process.stdout  # noqa: S101  # for mypy: it is a pipe
        with self.layout.log(_name(self.number)).open("wb") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                text = line.decode("utf-8", "replace").rstrip("\n")
                self.session.emit({"event": "line", "process": PROCESS, "text": text})

    def _stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Terminate it and its children, and wait for its end, `grace` seconds at most."""
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.grace)

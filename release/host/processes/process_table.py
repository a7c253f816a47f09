"""Find and end the processes of an application by a variable in their environment, whatever circus knows."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.host.disk.layout import Layout
from release.host.runtime import sweep

if TYPE_CHECKING:
    import psutil

POLL = 0.02

MARK = "PACKHORSE_FOLDER"
"""Environment variable of every process of a release: the folder of that release."""


@dataclass(frozen=True)
class AppProcess:
    """A live process of an application; `release` is None for circusd and for forward.py."""

    pid: int
    release: int | None


def find(layout: Layout) -> list[AppProcess]:
    """All live processes of the application that belong to this user, but those of one-offs."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.uids().real == os.getuid():
                variables = process.environ()
                matched = _match(layout, process.pid, process.cmdline(), variables.get(MARK, ""))
                if matched and not sweep.is_one_off(os.fsencode(variables.get(sweep.ONE_OFF, ""))):
                    found.append(matched)
    return found


def _match(layout: Layout, pid: int, cmdline: list[str], mark: str) -> AppProcess | None:
    prefix = f"{layout.releases}/"
    if mark.startswith(prefix) and mark.removeprefix(prefix).isdecimal():
        return AppProcess(pid, int(mark.removeprefix(prefix)))
    if "circus.circusd" in cmdline and str(layout.circus_ini) in cmdline:  # as earlier versions started it
        return AppProcess(pid, None)
    script = cmdline[2] if len(cmdline) > 2 else ""  # launch.py, before it becomes the process
    if (
        script.endswith(".py") and Path(script).parent == layout.folder
    ):  # supervisor.py, forward.py, whatever it was called
        return AppProcess(pid, None)
    number = script.removeprefix(prefix).removesuffix("/launch.py")
    return AppProcess(pid, int(number)) if script.startswith(prefix) and number.isdecimal() else None


def strays(circusd: int) -> bool:
    """Whether a process of circusd's user is none of its descendants, as the kernel shows them now."""
    import psutil

    table = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            table[process.pid] = (process.ppid(), process.uids().real)
    return circusd in table and bool(strays_in(table, circusd))


def strays_in(table: Mapping[int, tuple[int, int]], circusd: int) -> set[int]:
    """The processes of circusd's user that do not descend from it; `table`: process -> parent and user."""
    below = {circusd}
    while more := {pid for pid, (parent, _) in table.items() if parent in below} - below:
        below |= more
    return {pid for pid, (_, user) in table.items() if user == table[circusd][1]} - below


def alive_of(pids: Collection[int]) -> "list[psutil.Process]":
    """The live processes among `pids`, as objects that a later process with a reused number never equals."""
    import psutil

    alive = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            alive.append(psutil.Process(pid))
    return alive


def end(pids: Collection[int], grace: float) -> None:
    """Terminate `pids`, and kill those that still run after `grace` seconds (0: kill at once)."""
    import psutil

    alive = alive_of(pids)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM if grace else signal.SIGKILL)
    left = wait(alive, grace or 5)
    if left and grace:
        end([process.pid for process in left], 0)


def wait(processes: "Collection[psutil.Process]", timeout: float) -> "list[psutil.Process]":
    """Wait until `processes` have ended, up to `timeout` seconds; return those that still run.

    A zombie has ended: the first process of a container often reaps its children late or never.
    """
    deadline = time.monotonic() + timeout
    while (alive := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(POLL)
    return alive


def _runs(process: "psutil.Process") -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

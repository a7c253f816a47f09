"""What runs on this host and what it writes, for `status` and `logs`."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.commands import reconcile, release_phase
from release.host.disk import journal, lock, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, public_address, sockets

FOLLOW_INTERVAL = 0.2


def status(layout: Layout, circus: circus_ini.Supervisor, by: str) -> dict[str, Any]:
    """Everything about the application's processes, after a repair if nobody else is at work.

    `state` is "none" (never deployed), "stopped", "running" or "broken"; `note` says what else matters.
    """
    note = ""
    try:
        with lock.held(layout, "status", by):
            reconcile.run(layout, circus)
        cut = release_phase.interrupted(journal.read(layout.journal))
        note = release_phase.told(cut) if cut else ""
    except PackhorseError as error:
        note = error.message
    number = releases.current(layout)
    if number is None:
        return nothing(layout, note)
    processes = _processes(layout, circus, number) if circus.running() else []
    sound = processes and all(process["health"] == "healthy" for process in processes)
    what = "stopped" if layout.stopped.exists() else "running" if sound else "broken"
    return {**public_address.describe(layout, number), "state": what, "note": note, "processes": processes}


def nothing(layout: Layout, note: str = "") -> dict[str, Any]:
    """What `status` says before the first deploy."""
    return {"app": layout.app, "state": "none", "note": note, "processes": []}


def _processes(layout: Layout, circus: circus_ini.Supervisor, number: int) -> list[dict[str, Any]]:
    """One row per process type. Something without a socket is healthy while it runs."""
    manifest = releases.read_manifest(layout, number)
    rows = []
    for process in manifest.running:
        pids = circus.pids(circus_ini.watcher_name(process, number))
        row = {"process": process, "release": number, "version": manifest.version, "pids": pids}
        row["uptime"] = max([0, *map(_uptime, pids)])
        row["health"] = "healthy" if pids else "not running"
        row["address"] = public_address.describe(layout, number)["url"] if process == "web" else ""
        if process == "web":
            answer = health.probe(sockets.private(layout, number), manifest.health)
            row["health"] = "healthy" if answer.healthy else answer.text
        rows.append(row)
    return rows


def _uptime(pid: int) -> int:
    import psutil

    try:
        return int(time.time() - psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0


def logs(layout: Layout, number: int | None, lines: int) -> Iterator[tuple[str, str]]:
    """(process type, line): the last `lines` of each log of release `number` (None: the current one)."""
    for process, path in _files(layout, number).items():
        # A log that has just been rotated is short: what came before is in its .1
        parts = [files.last_lines(part, lines) for part in (path.with_name(f"{path.name}.1"), path)]
        joined = "\n".join(part for part in parts if part).splitlines()
        yield from ((process, line) for line in joined[-lines:] if lines)


def follow(
    layout: Layout, number: int | None, line: Callable[[str, str], None], pause: Callable[[float], None]
) -> None:
    """Give `line` what is written from now on, also by a newer release; `pause` ends it by raising."""
    readers = {path: _Reader(path, at_end=True) for path in _files(layout, number).values()}
    while True:
        for process, path in _files(layout, number).items():
            reader = readers.setdefault(path, _Reader(path, at_end=False))
            for text in reader.lines():
                line(process, text)
        pause(FOLLOW_INTERVAL)


class _Reader:
    """Whole lines as they are appended to a file that may be rotated."""

    def __init__(self, path: Path, *, at_end: bool) -> None:
        self.path = path
        self.inode, self.offset = 0, 0
        if at_end and path.exists():
            found = path.stat()
            self.inode, self.offset = found.st_ino, found.st_size

    def lines(self) -> Iterator[str]:
        try:
            with self.path.open("rb") as file:
                inode = self.path.stat().st_ino
                if inode != self.inode:
                    self.inode, self.offset = inode, 0
                file.seek(self.offset)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        self.offset += len(whole) + len(newline)
        if newline:
            yield from whole.decode("utf-8", "replace").split("\n")


def _files(layout: Layout, number: int | None) -> dict[str, Path]:
    """Process type -> its log."""
    wanted = releases.deployed(layout) if number is None else number
    if not releases.is_ready(layout, wanted):
        known = ", ".join(map(str, releases.numbers(layout)))
        raise PackhorseError(f"{layout.app} has no release {wanted} here.", f"The releases here are: {known}")
    manifest = releases.read_manifest(layout, wanted)
    logs = {process: layout.log(circus_ini.watcher_name(process, wanted)) for process in manifest.processes}
    return {process: log for process, log in logs.items() if process in manifest.running or log.exists()}

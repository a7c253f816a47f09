"""Report which processes of an application run on this host, and how healthy they are."""

import time
from dataclasses import asdict
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands.deploy import release_phase
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, maintenance, public_address, sockets, watchers
from release.host.request import Status
from release.host.system import certificate


def run(layout: Layout, request: Status, circus: circus_ini.Supervisor, _session: Session) -> dict[str, Any]:
    """Report everything about the application's processes, after a repair unless another command is running.

    `state` is "none" (never deployed), "stopped", "running" or "broken"; `note` says what else matters.
    """
    if not layout.folder.exists():
        return _never_deployed(layout, "")
    releases.create_folders(layout)
    note = ""
    try:
        with lock.held(layout, "status", request.by):
            reconcile.run(layout, circus)
        cut = release_phase.interrupted(journal.read(layout.journal))
        note = release_phase.interruption(cut) if cut else ""
    except PackhorseError as error:
        note = error.message
    number = releases.current(layout)
    if number is None:
        return _never_deployed(layout, note)
    processes = circus_ini.ask(circus, lambda: _processes(layout, circus, number)) or []
    sound = bool(processes or not watchers.of(layout, releases.active(layout))) and all(
        process["health"] in {"healthy", "stopped"} for process in processes
    )
    what = "stopped" if layout.stopped.exists() else "running" if sound else "broken"
    return {
        **public_address.as_result(layout, number),
        "state": what,
        "note": note,
        "processes": processes,
        "certificate": _certificate(layout),
    }


def _never_deployed(layout: Layout, note: str) -> dict[str, Any]:
    return {
        "app": layout.app,
        "state": "none",
        "note": note,
        "processes": [],
        "maintenance": maintenance.as_result(layout),
        "certificate": _certificate(layout),
    }


def _certificate(layout: Layout) -> dict[str, Any] | None:
    found = certificate.examine(layout)
    return asdict(found) if found else None


def _processes(layout: Layout, circus: circus_ini.Supervisor, number: int) -> list[dict[str, Any]]:
    """One row per process type. A process without a socket is healthy while it runs."""
    manifest = releases.read_manifest(layout, number)
    names = {watcher.process: watcher.name for watcher in watchers.of(layout, number)}
    scaled = scale.read(layout)
    rows = []
    for process in manifest.running:
        pids = circus.pids(names[process]) if process in names else []
        wanted = 0 if layout.stopped.exists() else scaled.wanted(process)
        row = {"process": process, "release": number, "version": manifest.version, "pids": pids}
        row |= {"wanted": wanted, "uptime": max([0, *map(_uptime, pids)])}
        row["health"] = "stopped" if not wanted else "healthy" if len(pids) >= wanted else "not running"
        row["address"] = public_address.as_result(layout, number)["address"] if process == "web" else ""
        if process == "web" and pids and wanted:
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

"""List the processes of an application on this host: how many there are, how they do, what they use."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from packhorse import files
from release.host.commands.processes import jobs
from release.host.control.session import Session
from release.host.disk import process_record, releases, scale
from release.host.disk.layout import Layout
from release.host.formats import log_line
from release.host.processes import circus_ini, maintenance, oneoffs, usage, watchers
from release.host.request import Ps

SAMPLE = 0.15
"""Seconds between two looks at processor time, which the kernel counts in hundredths of a second."""
LINES = 5
RUNNING, STOPPED, NONE, MISSING, LOOPING = "running", "stopped", "none", "not running", "crash loop"
DRAINING = "draining"
"""Of another release than the current one: it ends, or has just been started by a deploy."""


def run(layout: Layout, _request: Ps, circus: circus_ini.Supervisor, _session: Session) -> dict[str, Any]:
    """List them by type. Nothing is repaired, and no lock is taken."""
    number = releases.current(layout) if layout.folder.exists() else None
    shared = {"app": layout.app, "maintenance": maintenance.as_result(layout)}
    if number is None:
        kept = scale.read(layout)
        return {**shared, "release": None, "scale": dict(kept.counts), "processes": []}
    rows = processes(layout, number, circus)
    manifest, scaled = releases.read_manifest(layout, number), scale.read(layout)
    return {
        **shared,
        "release": number,
        "project": manifest.project,
        "version": manifest.version,
        "scale": {process: scaled.count(process) for process in manifest.running},
        "processes": rows,
        "jobs": jobs.listed(layout, number),
    }


def _pids(circus: circus_ini.Supervisor) -> dict[str, list[int]]:
    return {name: circus.pids(name) for name in filter(circus_ini.is_of_release, circus.watchers())}


def processes(layout: Layout, number: int, circus: circus_ini.Supervisor) -> list[dict[str, Any]]:
    """List the processes of release `number` by type, then those of others, then one-offs."""
    began, first = time.monotonic(), usage.table()
    manifest, scaled = releases.read_manifest(layout, number), scale.read(layout)
    pids = circus_ini.ask(circus, lambda: _pids(circus)) or {}
    events = process_record.read(layout.logs)
    time.sleep(max(0.0, SAMPLE - (time.monotonic() - began)))
    seconds, second = time.monotonic() - began, usage.table()

    def each(name: str) -> list[dict[str, Any]]:
        return [_one(pid, first, second, seconds) for pid in pids.get(name, []) if pid in second]

    own = {watcher.process: watcher.name for watcher in watchers.of(layout, number)}
    rows = []
    for process in manifest.running:
        name = own.get(process, "")
        row = {"process": process, "release": number, "count": scaled.count(process), "wanted": 0}
        if not layout.stopped.exists():
            row["wanted"] = scaled.wanted(process)
        row |= {"each": each(name), **_history(layout, name, events.get(name))}
        rows.append({**row, "state": _state(row, stopped=process in scaled.stopped)})
    for name in sorted(pids.keys() - set(own.values())):
        row = {"process": name.partition(".")[0].rstrip("+"), "release": _release(name), "wanted": 0}
        if found := each(name):
            rows.append({**row, "each": found, **_history(layout, name, None), "state": DRAINING})
    for one_off in oneoffs.running(layout, second):
        row = {"process": "run", "release": one_off.release, "wanted": 0, "command": one_off.command}
        used = [_one(one_off.pid, first, second, seconds)]
        rows.append({**row, "each": used, **_history(layout, "", None), "state": RUNNING})
    return rows


def _one(
    pid: int, first: Mapping[int, usage.Stat], second: Mapping[int, usage.Stat], seconds: float
) -> dict[str, Any]:
    """One process with all that it has started: `cpu` in percent of one processor, `memory` in bytes."""
    family = usage.tree(second, pid)
    before = sum(first[each].cpu for each in family if each in first)
    used = sum(second[each].cpu for each in family) - before
    since = datetime.fromtimestamp(usage.boot_time() + second[pid].started, UTC)
    return {
        "pid": pid,
        "since": since.isoformat(timespec="seconds"),
        "cpu": round(max(0.0, used) / seconds * 100, 1),
        "memory": sum(second[each].memory for each in family),
    }


def _history(layout: Layout, name: str, events: list[process_record.ProcessEvent] | None) -> dict[str, Any]:
    """History of a watcher by the record; all None where an earlier circusd runs, which keeps none."""
    if not events:
        return {"restarts": None, "looping": None, "status": None, "lines": []}
    found = process_record.history(events, process_record.now())
    log = layout.log(name.replace("+", ""))
    lines = files.last_lines(log, LINES).splitlines() if found.looping else []
    return {
        "restarts": found.restarts,
        "looping": found.looping,
        "status": found.status,
        "lines": [log_line.text_of(line) for line in lines],
    }


def _state(row: Mapping[str, Any], *, stopped: bool) -> str:
    if row["wanted"] == 0:
        return NONE if row["count"] == 0 and not stopped else STOPPED
    if row["looping"]:
        return LOOPING
    return RUNNING if len(row["each"]) >= row["wanted"] else MISSING


def _release(name: str) -> int | None:
    found = re.fullmatch(r".*\.(\d+)", name)
    return int(found[1]) if found else None

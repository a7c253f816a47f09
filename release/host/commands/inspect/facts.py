"""Tell the state of an application on this host for metrics: a file with nothing but numbers."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.commands.inspect import ps
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini
from release.host.system import certificate


def write(layout: Layout, folder: Path, circus: circus_ini.Supervisor) -> None:
    """Write the state into `folder` for all to read, in one step. Nothing of the application is changed."""
    files.write_whole(folder / "facts.json", json.dumps(collect(layout, circus)).encode())


def collect(layout: Layout, circus: circus_ini.Supervisor) -> dict[str, Any]:
    """The state of the application; what is not known is left out."""
    number, secured = releases.current(layout), certificate.examine(layout)
    return {
        **({} if secured is None or secured.days is None else {"certificate_days": secured.days}),
        **({"release": number, "processes": _processes(layout, number, circus)} if number else {}),
        **last_deploy(journal.read(layout.journal)),
        "stopped": layout.stopped.exists(),
        "maintenance": layout.maintenance.exists(),
    }


def last_deploy(entries: Sequence[journal.Entry]) -> dict[str, Any]:
    """Outcome and time of the last deploy, rollback or change of the configuration."""
    ended = [entry for entry in entries if entry.state in {journal.GOOD, journal.FAILED}]
    if not ended:
        return {}
    last = ended[-1]
    return {
        "last_deploy_good": last.state == journal.GOOD,
        "last_deploy_timestamp_seconds": int(datetime.fromisoformat(last.at).timestamp()),
    }


def _processes(layout: Layout, number: int, circus: circus_ini.Supervisor) -> dict[str, dict[str, Any]]:
    """Process type -> its numbers, as packhorse-metrics shows them; {} while circusd does not answer."""
    try:
        rows = ps.processes(layout, number, circus)
    except PackhorseError:
        return {}
    return {
        row["process"]: {
            "processes": len(row["each"]),
            "processes_wanted": row["wanted"],
            **({} if row["restarts"] is None else {"process_restarts_last_hour": row["restarts"]}),
            "process_crash_loop": row["looping"] is True,
        }
        for row in rows
        if "count" in row  # of the current release, and no one-off
    }

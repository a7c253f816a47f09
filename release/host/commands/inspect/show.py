"""Describe releases of this host: what is in them, who made them, and what became of them."""

import contextlib
from dataclasses import asdict
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands.releases import configuration, history
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import ReleaseManifest
from release.host.install import distributions
from release.host.processes import public_address
from release.host.processes.circus_ini import Supervisor
from release.host.request import Show

UNFINISHED = "unfinished"


def run(layout: Layout, request: Show, _circus: Supervisor, _session: Session) -> dict[str, object]:
    """Describe the releases that are asked for, and say which one serves; nothing is repaired or locked."""
    current = releases.current(layout) if layout.folder.exists() else None
    wanted = [_require(layout, current) if number is None else number for number in request.releases]
    if request.before and wanted:
        wanted = [*_before(layout, wanted[0]), *wanted]
    return {
        "app": layout.app,
        "current": _serving(layout, current) if current is not None else None,
        "releases": [describe(layout, number, request.key) for number in wanted],
    }


def _require(layout: Layout, current: int | None) -> int:
    if current is None:
        raise PackhorseError(
            f"{layout.app} has never been deployed here.", "Deploy it: release deploy TARGET"
        )
    return current


def _before(layout: Layout, number: int) -> list[int]:
    """The last good release before `number` that is still here, if there is one."""
    return [good for good in history.kept(layout) if good < number][-1:]


def _serving(layout: Layout, number: int) -> dict[str, object]:
    manifest = releases.read_manifest(layout, number)
    return {
        "release": number,
        "project": manifest.project,
        "version": manifest.version,
        "index": manifest.index,
        "at": manifest.at,
        "by": manifest.by,
        "stopped": layout.stopped.exists(),
        "url": public_address.url(layout) if manifest.serves else None,
    }


def describe(layout: Layout, number: int, key: str) -> dict[str, Any]:
    """Describe release `number`; one that is gone by the journal, and not as `kept`.

    Raises PackhorseError for a release that never was.
    """
    outcome = journal.outcomes(journal.read(layout.journal)).get(number)
    content: dict[str, object] = {}
    if releases.is_ready(layout, number):
        with contextlib.suppress(FileNotFoundError):  # it is being removed
            content = _content(layout, releases.read_manifest(layout, number), key)
    if not outcome and not content:
        raise PackhorseError(
            f"{layout.app} has no release {number} here.",
            "List those that there are: release releases TARGET",
        )
    known = _outcome(layout, outcome) if outcome else {"state": UNFINISHED, "reason": "", "changed": ""}
    return {"release": number, "kept": bool(content), **known, **content}


def _outcome(layout: Layout, entry: journal.Entry) -> dict[str, object]:
    return {
        "state": history.state(layout, entry),
        "project": (entry.artifact or {}).get("name") or layout.app,
        "version": entry.version,
        "by": entry.by,
        "at": entry.at,
        "reason": entry.reason,
        "changed": entry.changed,
        "artifact": entry.artifact,
    }


def _content(layout: Layout, manifest: ReleaseManifest, key: str) -> dict[str, object]:
    folder = layout.release(manifest.release)
    deployed = releases.read_values(folder / "env.json")
    values = {**deployed, **(configured := releases.read_values(folder / "config.json"))}
    digests = configuration.value_digests(key, values) if key else {}
    variables = [
        {"name": name, "set": name in configured, **({"digest": digests[name]} if key else {})}
        for name in sorted(values)
    ]
    found = distributions.installed(layout, manifest.release)
    return {
        "project": manifest.project,
        "version": manifest.version,
        "by": manifest.by,
        "made": manifest.at,
        "artifact": asdict(manifest.artifact),
        "origin": manifest.origin,
        "python": manifest.python,
        "installer": manifest.installer,
        "processes": manifest.processes,
        "dependencies": [each for each in found if each["name"] != manifest.project],
        "variables": variables,
    }

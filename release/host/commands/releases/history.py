"""Releases of this host: list them, compare them, find the one to go back to."""

from typing import Any

from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.processes.circus_ini import Supervisor
from release.host.request import Releases

CURRENT, PRUNED = "current", "pruned"


def run(layout: Layout, _request: Releases, _circus: Supervisor, _session: Session) -> dict[str, object]:
    """List the releases: the command `release releases`."""
    return {"app": layout.app, "releases": listed(layout)}


def listed(layout: Layout) -> list[dict[str, Any]]:
    """Every release that ever was, newest first; `state` as in `state`."""
    entries = journal.outcomes(journal.read(layout.journal))
    return [
        {
            "release": entry.release,
            "version": entry.version,
            "state": state(layout, entry),
            "changed": entry.changed,
            "by": entry.by,
            "at": entry.at,
            "reason": entry.reason,
            "artifact": entry.artifact,
        }
        for _, entry in sorted(entries.items(), reverse=True)
    ]


def state(layout: Layout, outcome: journal.Entry) -> str:
    """State of a release: "current", "good", "failed", "trial", or "pruned" if it was good and is removed."""
    if outcome.release == releases.current(layout):
        return CURRENT
    gone = outcome.state == journal.GOOD and not releases.is_ready(layout, outcome.release)
    return PRUNED if gone else outcome.state


def changed(layout: Layout, before: int | None, number: int) -> str:
    """List what release `number` has and `before` had not; of the configuration names only, for secrecy."""
    if before is None:
        return "everything"
    old, new = releases.read_manifest(layout, before), releases.read_manifest(layout, number)
    parts = ["code"] if old.sha256 != new.sha256 else []
    names = changed_names(releases.read_env(layout, before), releases.read_env(layout, number))
    parts += [f"config {' '.join(names)}"] if names else []
    settings = ("installer", "health", "graceful_timeout", "rules", "required", "jobs")
    parts += [name.replace("_", " ") for name in settings if getattr(old, name) != getattr(new, name)]
    before_minor, minor = (manifest.python.rpartition(".")[0] for manifest in (old, new))
    parts += [f"Python {minor}"] if before_minor != minor else []
    return ", ".join(parts)


def changed_names(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The variables that only one of the two has, or with another value."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def to_go_back_to(layout: Layout, number: int | None) -> int:
    """Release `number`; None: the last good one before that whose content is current, with another content.

    After a rollback that is one further back, not the one that was left. Raises PackhorseError when there is
    no such release.
    """
    current = releases.require_current(layout)
    good = kept(layout)
    if number is not None:
        if number in good:
            return number
        known = ", ".join(map(str, good)) or "none"
        raise PackhorseError(
            f"{layout.app} has no good release {number} to go back to.", f"The good releases here: {known}"
        )
    origin = releases.read_manifest(layout, current).origin
    for before in reversed(good):
        if before < origin and changed(layout, current, before):
            return before
    others = [str(other) for other in good if changed(layout, current, other)]
    named = f"Name one of the good releases {', '.join(others)}: release rollback TARGET N"
    raise PackhorseError(
        f"{layout.app} has no good release before release {origin}, whose content runs here.",
        named if others else "Deploy a version: release deploy TARGET",
    )


def kept(layout: Layout) -> list[int]:
    """The good releases that are still here, ascending."""
    states = journal.states(journal.read(layout.journal))
    return [
        number
        for number in releases.numbers(layout)
        if states.get(number) == journal.GOOD and releases.is_ready(layout, number)
    ]

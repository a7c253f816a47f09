"""The journal and the releases that are still here in; what changed, and what to go back to, out."""

from typing import Any

from packhorse.errors import PackhorseError
from release.host.disk import journal, releases
from release.host.disk.file_cache import File
from release.host.disk.layout import Layout
from release.host.processes import circus_ini
from release.host.request import Deploy

CURRENT = "current"


def listed(layout: Layout) -> list[dict[str, Any]]:
    """Every release that ever was, newest first; `state` is "current", "good" or "failed"."""
    entries = journal.outcomes(journal.read(layout.journal))
    current = releases.current(layout)
    return [
        {
            "release": entry.release,
            "version": entry.version,
            "state": CURRENT if entry.release == current else entry.state,
            "changed": entry.changed,
            "by": entry.by,
            "at": entry.at,
            "reason": entry.reason,
        }
        for _, entry in sorted(entries.items(), reverse=True)
    ]


def changed(layout: Layout, before: int | None, number: int) -> str:
    """What release `number` has that `before` had not; of the configuration names only: it has secrets."""
    if before is None:
        return "everything"
    old, new = releases.read_manifest(layout, before), releases.read_manifest(layout, number)
    parts = ["code"] if old.sha256 != new.sha256 else []
    names = changed_names(releases.read_env(layout, before), releases.read_env(layout, number))
    parts += [f"config {' '.join(names)}"] if names else []
    settings = ("installer", "health", "graceful_timeout", "rules")
    parts += [name.replace("_", " ") for name in settings if getattr(old, name) != getattr(new, name)]
    return ", ".join(parts)


def changed_names(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The variables that only one of the two has, or with another value."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def is_same(layout: Layout, number: int, wanted: Deploy, file: File) -> bool:
    """Whether release `number` has the same code and the same configuration as `wanted`."""
    present = releases.read_manifest(layout, number)
    return (
        (present.sha256, present.installer, present.health, present.graceful_timeout, present.rules)
        == (file.sha256, wanted.installer, wanted.health, wanted.graceful_timeout, wanted.rules)
    ) and releases.read_env(layout, number) == wanted.env


def rollback(layout: Layout, number: int | None, keep: int, by: str) -> Deploy:
    """The content of release `number` as something to deploy; None: what ran before the current one.

    Raises PackhorseError when there is no such release.
    """
    origin = _to_go_back_to(layout) if number is None else number
    good = _good(layout)
    if origin not in good:
        known = ", ".join(map(str, good)) or "none"
        raise PackhorseError(
            f"{layout.app} has no good release {origin} to go back to.", f"Those that are here: {known}"
        )
    manifest = releases.read_manifest(layout, origin)
    return Deploy(
        index_url=None,
        project=manifest.project,
        version=manifest.version,
        files=[File(manifest.project, manifest.filename, manifest.sha256)],
        installer=manifest.installer,
        bind=circus_ini.bind_of(layout.circus_ini.read_text()),
        health=manifest.health,
        env=releases.read_env(layout, origin),
        graceful_timeout=manifest.graceful_timeout,
        rules=manifest.rules,
        keep=keep,
        by=by,
        origin=manifest.origin,
    )


def _to_go_back_to(layout: Layout) -> int:
    """The last good release before the one whose content is current, and with another content.

    After a rollback that is one further back, not the one that was left.
    """
    current = releases.deployed(layout)
    origin = releases.read_manifest(layout, current).origin
    for number in reversed(_good(layout)):
        if number < origin and changed(layout, current, number):
            return number
    raise PackhorseError(
        f"{layout.app} has no good release before release {origin} here.", "Deploy a version: release deploy"
    )


def _good(layout: Layout) -> list[int]:
    states = journal.states(journal.read(layout.journal))
    return [
        number
        for number in releases.numbers(layout)
        if states.get(number) == journal.GOOD and releases.is_ready(layout, number)
    ]

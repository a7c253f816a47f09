"""A release that has just been started in, its processes found healthy out."""

from collections.abc import Callable, Collection
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, sockets
from release.host.processes.watchers import Watcher
from release.host.runtime import launch


def await_answer(
    layout: Layout, circus: circus_ini.Supervisor, number: int, pause: Callable[[float], None]
) -> None:
    """Wait until release `number` answers well. Raises PackhorseError with the last answer and log lines."""
    manifest = releases.read_manifest(layout, number)
    name = circus_ini.watcher_name("web", number)
    try:
        health.wait(sockets.private(layout, number), manifest.health, lambda: circus.pids(name), pause)
    except health.UnhealthyError as reason:
        raise _unhealthy(layout, Watcher("web", number), reason) from None


def await_up(
    layout: Layout,
    circus: circus_ini.Supervisor,
    started: Collection[Watcher],
    pause: Callable[[float], None],
) -> None:
    """Wait until processes that nobody can ask have stayed up for a while. Raises PackhorseError."""
    for watcher in started:
        try:
            health.stay_up(lambda name=watcher.name: [circus.pids(name)], pause)  # type: ignore[misc]
        except health.UnhealthyError as reason:
            raise _unhealthy(layout, watcher, reason) from None


def _unhealthy(layout: Layout, watcher: Watcher, reason: Exception) -> PackhorseError:
    manifest = releases.read_manifest(layout, watcher.release)
    log = files.last_lines(layout.log(watcher.name)) or "(it wrote nothing)"
    what = "" if watcher.process == "web" else f"{watcher.process} of "
    return PackhorseError(
        f"{what}{manifest.project} {manifest.version} (release {watcher.release}) is not healthy: {reason}",
        _advice(manifest.processes[watcher.process], layout.log(watcher.name)),
        detail=f"Last lines of its log:\n{log}",
    )


def _advice(command: str, log: Path) -> str:
    if launch.is_compound(command) and "exec " not in command:
        return "Write `exec` before the server in the Procfile: it does not get its socket through a shell."
    return f"Correct it, upload a new version and deploy that; the whole log is {log}"


def is_healthy(layout: Layout, number: int) -> bool:
    """Whether release `number` answers now."""
    return health.probe(
        sockets.private(layout, number), releases.read_manifest(layout, number).health
    ).healthy

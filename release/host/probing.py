"""A release that has just been started in, its processes found healthy out."""

from pathlib import Path

from packhorse.errors import PackhorseError
from release.host import health, launch, state, supervisor
from release.host.layout import Layout
from release.host.session import Session


def await_healthy(layout: Layout, circus: supervisor.Supervisor, number: int, session: Session) -> None:
    """Wait until release `number` is healthy. Raises PackhorseError with the last answer and log lines."""
    manifest = state.read_manifest(layout, number)
    name = supervisor.watcher_name("web", number)
    try:
        health.wait(layout.probe(number), manifest.health, lambda: circus.pids(name), session.pause)
    except health.UnhealthyError as reason:
        log = supervisor.tail(layout.log(name)) or "(it wrote nothing)"
        raise PackhorseError(
            f"{manifest.project} {manifest.version} (release {number}) is not healthy: {reason}",
            _advice(manifest.processes["web"], layout.log(name)),
            detail=f"Last lines of its log:\n{log}",
        ) from None


def _advice(command: str, log: Path) -> str:
    if launch.is_compound(command) and "exec " not in command:
        return "Write `exec` before the server in the Procfile: it does not get its sockets through a shell."
    return f"Correct it, upload a new version and deploy that; the whole log is {log}"


def is_healthy(layout: Layout, number: int) -> bool:
    """Whether release `number` answers now."""
    return health.probe(layout.probe(number), state.read_manifest(layout, number).health).healthy

"""Wait until the processes of a release are ready, or raise an error with the end of their log."""

import re
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Health
from release.host.processes import circus_ini, health, sockets
from release.host.processes.watchers import Watcher
from release.host.runtime import launch

# So many different processes of one watcher are a crash loop: waiting for the deadline would be in vain.
CRASH_LOOP = 3
# Of Python, C and SQLite. A port that may not be opened is no path.
_FORBIDDEN_WRITE = re.compile(
    r"Permission denied: ?['\"/]|Read-only file system|unable to open database file|readonly database"
)
STAY_UP = 1.0
"""Seconds that a process without a probe has to run to be taken for ready."""


class NotReadyError(Exception):
    """A process is not ready; the text says why, with the last answer to the probe.

    `no_such_path`: the path of the probe when the application answered that it has none.
    """

    no_such_path: str | None = None


def is_healthy(layout: Layout, number: int) -> bool:
    """Whether release `number` answers a probe now."""
    manifest = releases.read_manifest(layout, number)
    return health.probe(sockets.private(layout, number), manifest.health).healthy


def await_answer(
    layout: Layout, circus: circus_ini.Supervisor, number: int, pause: Callable[[float], None]
) -> None:
    """Wait until release `number` is healthy. Raises PackhorseError with the last answer and log lines."""
    manifest = releases.read_manifest(layout, number)
    web = Watcher("web", number)
    try:
        probe_until_healthy(
            sockets.private(layout, number), manifest.health, lambda: circus.pids(web.name), pause
        )
    except NotReadyError as reason:
        raise _failure(layout, web, reason) from None


def probe_until_healthy(
    address: health.Address,
    settings: Health,
    pids: Callable[[], list[int]],
    pause: Callable[[float], None],
) -> None:
    """Probe until healthy. `pids` lists the processes there are now; `pause` waits, and may raise.

    Raises NotReadyError at the deadline, or as soon as the processes turn out to be a crash loop.
    """
    deadline = time.monotonic() + settings.timeout
    seen: set[int] = set()
    last, status = health.NO_ANSWER, None

    def watch() -> None:
        seen.update(pids())
        pause(0)
        if time.monotonic() > deadline:
            raise NotReadyError(f"no good answer within {settings.timeout:g} s")
        if len(seen) >= CRASH_LOOP:
            raise NotReadyError(f"its process keeps ending ({len(seen)} so far)")

    def watch_without_answer() -> None:
        nonlocal last, status
        last, status = health.NO_ANSWER, None
        watch()

    try:
        while not (answer := health.probe(address, settings, watch_without_answer)).healthy:
            last, status = answer.text, answer.status
            watch()
            pause(settings.interval)
    except NotReadyError as reason:
        error = NotReadyError(f"{reason}; the answer to GET {settings.path} was {last}")
        if status == HTTPStatus.NOT_FOUND:
            error.no_such_path = settings.path
        raise error from None


def await_up(
    layout: Layout,
    circus: circus_ini.Supervisor,
    started: Collection[Watcher],
    pause: Callable[[float], None],
) -> None:
    """Wait until processes without a probe have run for STAY_UP seconds. Raises PackhorseError."""
    deadline = time.monotonic() + STAY_UP
    first = {watcher: circus.pids(watcher.name) for watcher in started}
    while started and time.monotonic() < deadline:
        for watcher in started:
            pids = circus.pids(watcher.name)
            if pids != first[watcher] or not pids:
                raise _failure(layout, watcher, NotReadyError("its process ended at once"))
        pause(health.TICK)


def _failure(layout: Layout, watcher: Watcher, reason: NotReadyError) -> PackhorseError:
    manifest = releases.read_manifest(layout, watcher.release)
    log = files.last_lines(layout.log(watcher.name)) or "(it wrote nothing)"
    what = "" if watcher.process == "web" else f"{watcher.process} of "
    return PackhorseError(
        f"{what}{manifest.project} {manifest.version} (release {watcher.release}) is not healthy: {reason}",
        forbidden_write(log)
        or _hint(manifest.processes[watcher.process], layout.log(watcher.name), reason.no_such_path),
        detail=f"Last lines of its log:\n{log}",
    )


def forbidden_write(output: str) -> str | None:
    """What to do about `output` of a process that tried to write to its release; None for any other."""
    if not _FORBIDDEN_WRITE.search(output):
        return None
    return "A process writes to $DATA_DIR only, which outlives releases: let it keep its files there."


def _hint(command: str, log: Path, no_such_path: str | None) -> str:
    if no_such_path:
        return (
            f"Let the application answer GET {no_such_path}, or set another path: [health] in release.toml."
        )
    if launch.is_compound(command) and "exec " not in command:
        return "Write `exec` before the server in the Procfile: it does not get its socket through a shell."
    return f"Correct it, upload a new version and deploy that; the whole log is {log}"

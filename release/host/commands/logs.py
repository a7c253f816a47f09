"""Send the last lines of an application's logs, and follow them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session, StoppedError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.log_reader import LogReader
from release.host.formats import log_line
from release.host.processes import circus_ini
from release.host.request import Logs

FOLLOW_INTERVAL = 0.2


def run(layout: Layout, request: Logs, _circus: circus_ini.Supervisor, session: Session) -> dict[str, object]:
    """Send an event for every line. Raises PackhorseError when there is no such release."""
    never_served = request.release is None and releases.current(layout) is None
    if never_served and (failed := releases.numbers(layout)):
        raise PackhorseError(
            f"No release of {layout.app} has ever served here.",
            f"Its logs are there: release logs {request.target_name} --release {failed[-1]}",
        )

    def emit(process: str, text: str) -> None:
        session.emit({"event": "line", "process": process, "text": log_line.text_of(text)})

    for process, text in last_lines(layout, request.release, request.lines):
        emit(process, text)
    if request.follow:
        with contextlib.suppress(StoppedError):
            follow(layout, request.release, emit, session.pause)
    return {}


def last_lines(layout: Layout, number: int | None, lines: int) -> Iterator[tuple[str, str]]:
    """Yield process type and line: the last `lines` of each log of release `number`, else the current."""
    for process, path in _files(layout, number).items():
        # A log that has just been rotated is short: the lines before are in its .1
        parts = [files.last_lines(part, lines) for part in (path.with_name(f"{path.name}.1"), path)]
        joined = "\n".join(part for part in parts if part).splitlines()
        yield from ((process, line) for line in joined[-lines:] if lines)


def follow(
    layout: Layout, number: int | None, emit: Callable[[str, str], None], pause: Callable[[float], None]
) -> None:
    """Call `emit` for every new line, also of a newer release, until `pause` raises."""
    readers = {path: LogReader(path, at_end=True) for path in _files(layout, number).values()}
    while True:
        for process, path in _files(layout, number).items():
            reader = readers.setdefault(path, LogReader(path))
            for text in reader.lines():
                emit(process, text)
        pause(FOLLOW_INTERVAL)


def _files(layout: Layout, number: int | None) -> dict[str, Path]:
    """Process type -> its log."""
    release = releases.require_current(layout) if number is None else number
    if not releases.is_ready(layout, release):
        known = ", ".join(map(str, releases.numbers(layout)))
        raise PackhorseError(
            f"{layout.app} has no release {release} here.", f"The releases here are: {known}"
        )
    manifest = releases.read_manifest(layout, release)
    logs = {process: layout.log(circus_ini.watcher_name(process, release)) for process in manifest.processes}
    return {process: log for process, log in logs.items() if process in manifest.running or log.exists()}

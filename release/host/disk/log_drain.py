"""Destination of an application's logs on this host, and how far they are sent: kept over reboots."""

import contextlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from packhorse import files
from release.host.disk.layout import Layout
from release.host.disk.log_reader import Position
from release.host.formats import log_message

RECEIVERS = {
    log_message.JOURNALD: Path("/run/systemd/journal/socket"),
    log_message.SYSLOG: Path("/dev/log"),
}
"""Names of what takes lines, and its socket."""


@dataclass(frozen=True)
class Drain:
    """The receiver `to` of all lines, and who said so when."""

    to: str
    by: str
    at: str


def read(layout: Layout) -> Drain | None:
    """The drain; None when there is none."""
    try:
        table = json.loads(layout.drain.read_bytes())
    except FileNotFoundError:
        return None
    known = {field.name for field in fields(Drain)}  # a newer version may have written more
    return Drain(**{key: value for key, value in table.items() if key in known})


def write(layout: Layout, drain: Drain | None) -> None:
    """Write the drain; None: there is none from now on. Raises OSError (a full disk leaves the old one)."""
    if drain:
        files.write_whole(layout.drain, json.dumps(asdict(drain)).encode())
    else:
        layout.drain.unlink(missing_ok=True)


def positions_file(layout: Layout) -> Path:
    """The file of the positions up to which lines were sent, which the application's user writes."""
    return layout.logs / "drain.positions"


def positions(layout: Layout) -> dict[str, Position]:
    """Log -> the position up to which its lines were sent; what is no position is left out."""
    with contextlib.suppress(ValueError, RecursionError):
        table = json.loads(files.last_lines(positions_file(layout), 1) or "{}")
        if isinstance(table, dict):
            return {name: position for name, position in table.items() if _is_position(position)}
    return {}


def _is_position(position: object) -> bool:
    return (
        isinstance(position, list)
        and len(position) == 3
        and all(isinstance(number, int) and number >= 0 for number in position)
    )

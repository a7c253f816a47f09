"""Maintenance mode of an application on this host: its state, and the program that answers 503 meanwhile.

The state is a file in the application's folder, so that deploys, rollbacks and reboots keep it. While it is
there, circusd runs a copy of runtime/maintenance.py, and the public socket leads to that.
"""

import json
import pkgutil
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import journal
from release.host.disk.layout import Layout
from release.host.disk.manifest import Health
from release.host.processes import circus_ini, health

RETRY_AFTER = 300
UP_TIMEOUT = 10.0
_PROBE = Health("/", "localhost", 2.0, 0.02)


@dataclass(frozen=True)
class State:
    """Answer under maintenance: `retry_after` in seconds, `page` as HTML (None: the built-in one).

    Requests to the paths in `allow`, and below them, reach it all the same. `deploy`: the release whose
    deploy turns maintenance mode off again.
    """

    by: str
    at: str
    retry_after: int
    allow: list[str]
    page: str | None = None
    deploy: int | None = None

    @classmethod
    def of_deploy(cls, by: str, number: int) -> "State":
        """The state during the deploy of release `number`."""
        return cls(by, journal.now(), RETRY_AFTER, [], deploy=number)


def read(layout: Layout) -> State | None:
    """The state; None when maintenance mode is off."""
    try:
        table = json.loads(layout.maintenance.read_bytes())
    except FileNotFoundError:
        return None
    known = {field.name for field in fields(State)}  # a newer version may have written more
    return State(**{key: value for key, value in table.items() if key in known})


def write(layout: Layout, state: State) -> None:
    """Write the state. Raises OSError (a full disk leaves the old one)."""
    files.write_whole(layout.maintenance, json.dumps(asdict(state)).encode())


def end_of_deploy(layout: Layout) -> None:
    """Turn it off, if a deploy has turned it on for itself."""
    if (state := read(layout)) and state.deploy:
        layout.maintenance.unlink()


def install(layout: Layout) -> None:
    """Write the watcher of the program that answers, and its code.

    What is there stays, or circus would restart it.
    """
    ini = layout.watcher_ini(circus_ini.MAINTENANCE)
    if not ini.exists():
        program = pkgutil.get_data("release.host.runtime", "maintenance.py") or b""
        files.write_whole(layout.maintenance_program, program)
        files.write_whole(ini, circus_ini.maintenance_text(layout).encode())


def has_ended(layout: Layout) -> bool:
    """Whether it was turned off, and the program that answers is still to be stopped."""
    return layout.watcher_ini(circus_ini.MAINTENANCE).exists() and not layout.maintenance.exists()


def await_up(layout: Layout) -> None:
    """Wait until the program answers. Raises PackhorseError."""
    deadline = time.monotonic() + UP_TIMEOUT
    while not (answer := health.probe(address(layout), _PROBE)).status:
        if time.monotonic() > deadline:
            log = layout.log(circus_ini.MAINTENANCE)
            raise PackhorseError(
                f"The program that answers in maintenance mode does not: {answer.text}",
                f"Its log is {log}",
                detail=files.last_lines(log),
            )
        time.sleep(_PROBE.interval)


def drain(layout: Layout) -> None:
    """Wait until the program, which gets no new connections, has accepted all that are in its queue.

    Connections are accepted in their order: an answer shows that those before it were.
    """
    health.probe(address(layout), _PROBE)


def address(layout: Layout) -> Path:
    """The socket of the program."""
    return layout.own_sockets / layout.slot(circus_ini.MAINTENANCE_SLOT).name


def as_result(layout: Layout) -> dict[str, Any] | None:
    """The state for a result event, without the page; None when it is off."""
    state = read(layout)
    return {**asdict(state), "page": state.page is not None} if state else None

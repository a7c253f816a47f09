"""circus: the texts of its ini files, and what the rest of the agent needs of it."""

import configparser
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Protocol

from release.host.disk.layout import Layout

SLOTS = ("a", "b")
"""The sockets that releases take turns on: the next one gets the one that does not serve."""
FRONT = "front"
"""The watcher that forwards a port to the socket that serves."""
FRONT_TIMEOUT = 60

STOPPING = "stopping"
"""The status of a watcher that circus has been told to stop, and will do away with."""

Bind = tuple[str, int] | None
"""Host and port of the public listener; None: the unix socket of the layout."""


class Supervisor(Protocol):
    """What the rest of the agent needs of circus."""

    def running(self) -> bool:
        """Whether circusd takes commands."""

    def check(self, bind: Bind) -> None:
        """Raise PackhorseError unless circusd answers, or could be started to listen on `bind`."""

    def start(self) -> None:
        """Make circusd run with what lies in conf.d, and wait until it takes commands."""

    def watchers(self) -> dict[str, str]:
        """Watcher -> its status ("active", STOPPING, …)."""

    def pids(self, watcher: str) -> list[int]:
        """The live processes of `watcher`; none when there is no such watcher."""

    def reload(self, leaving: Mapping[str, list[int]] | None = None) -> None:
        """Make the watchers equal to conf.d: stop and drain those that went, start those that came.

        `leaving`: if all there is to wait for is the end of these watchers, with the processes of each.
        """

    def stop(self) -> None:
        """Stop and drain all watchers, then circusd itself unless systemd wants it up."""


def circus_text(layout: Layout, bind: Bind) -> str:
    """circus.ini. Its `umask` is octal and covers the control socket; that of a socket is read as decimal.

    Releases take turns on two sockets; `bind` is a listener of its own, forwarded to the one that serves.
    """
    return (
        "[circus]\n"
        f"endpoint = ipc://{layout.control}\n"
        f"pubsub_endpoint = ipc://{layout.events}\n"
        "multicast_endpoint =\n"  # empty: no UDP listener
        "check_delay = 1\n"
        "umask = 077\n"
        f"include_dir = {layout.watchers}\n"
        + "".join(_slot_text(layout, slot) for slot in SLOTS)
        + (_front_text(layout, bind) if bind else "")
    )


def _slot_text(layout: Layout, slot: str) -> str:
    return (
        f"[socket:{slot}]\npath = {layout.slot(slot)}\numask = 79\nreplace = True\n"  # 79 is 0117: rw-rw----
    )


def _front_text(layout: Layout, bind: tuple[str, int]) -> str:
    command = shlex.join([sys.executable, "-IS", str(layout.front), str(layout.web)])
    return (
        f"[socket:{FRONT}]\nhost = {bind[0]}\nport = {bind[1]}\n"
        f"{'family = AF_INET6' if ':' in bind[0] else 'family = AF_INET'}\n"
        f"[watcher:{FRONT}]\n"
        f"cmd = {command} $(circus.sockets.{FRONT})\n"
        "use_sockets = True\n"
        f"graceful_timeout = {FRONT_TIMEOUT}\n"
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log(FRONT)}\n"
    )


def bind_of(text: str) -> Bind:
    """The public listener that a circus.ini configures."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    if not parser.has_section(f"socket:{FRONT}"):
        return None
    section = parser[f"socket:{FRONT}"]
    return section["host"], int(section["port"])


def watcher_name(process: str, number: int) -> str:
    """The watcher of process type `process` of release `number`."""
    return f"{process}.{number}"


def watcher_text(layout: Layout, process: str, number: int, graceful_timeout: float, slot: str | None) -> str:
    """conf.d/<watcher>.ini: start the release's launch.py, which reads everything else from its folder.

    `slot` is the socket that the processes listen on, None for those that do not.
    """
    name = watcher_name(process, number)
    # -IS: without the search for installed packages, which costs more than all of launch.py.
    launch = [sys.executable, "-IS", str(layout.launcher(number)), process]
    return (
        f"[watcher:{name}]\n"
        f"cmd = {shlex.join(launch)}{f' $(circus.sockets.{slot})' if slot else ''}\n"
        f"use_sockets = {bool(slot)}\n"
        "numprocesses = 1\n"
        f"graceful_timeout = {graceful_timeout + 5:g}\n"  # the server's own limit ends first
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log(name)}\n"
        f"stdout_stream.max_bytes = {10 * 2**20}\n"
        "stdout_stream.backup_count = 3\n"
    )


def slot_of(text: str) -> str | None:
    """The socket that a watcher's ini names."""
    found = re.search(r"\$\(circus\.sockets\.(\w+)\)", text)
    return found[1] if found else None

"""Write and read circus's ini files, and the `Supervisor` interface that circusd.py implements."""

import configparser
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Protocol

from release.host.disk.layout import Layout

SLOTS = ("a", "b")
"""The two sockets that circusd holds: a new release gets the one that does not serve."""
FORWARD = "forward"
"""The watcher, and the listener, of the program that forwards the public port: runtime/forward.py."""
FORWARD_TIMEOUT = 60

STOPPING = "stopping"
"""Status of a watcher that circus is stopping and will remove."""

Bind = tuple[str, int] | None
"""Host and port of the public listener; None: the public unix socket."""


class Supervisor(Protocol):
    """The process supervisor. Tests pass a fake."""

    def running(self) -> bool:
        """Whether circusd takes commands."""

    def check(self, bind: Bind) -> None:
        """Raise PackhorseError unless circusd answers, or could be started to listen on `bind`."""

    def start(self) -> None:
        """Start circusd with the watchers in conf.d, and wait until it takes commands."""

    def watchers(self) -> dict[str, str]:
        """Watcher -> its status ("active", STOPPING, …)."""

    def pids(self, watcher: str) -> list[int]:
        """The live processes of `watcher`; none when there is no such watcher."""

    def reload(self, leaving: Mapping[str, list[int]] | None = None) -> None:
        """Make the watchers equal to conf.d: stop and drain removed ones, start new ones.

        `leaving`: watchers and their processes, when there is nothing to wait for but their end.
        """

    def stop(self) -> None:
        """Stop and drain all watchers, then circusd itself unless systemd wants it up."""


def circus_text(layout: Layout, bind: Bind) -> str:
    """The text of circus.ini: the two sockets of releases and, for `bind`, a listener that is forwarded.

    circus reads the `umask` of circusd, which covers the control socket, as octal, and that of a socket as
    decimal.
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
        + (_forward_text(layout, bind) if bind else "")
    )


def _slot_text(layout: Layout, slot: str) -> str:
    return (
        f"[socket:{slot}]\npath = {layout.slot(slot)}\numask = 79\nreplace = True\n"  # 79 is 0117: rw-rw----
    )


def _forward_text(layout: Layout, bind: tuple[str, int]) -> str:
    command = shlex.join([sys.executable, "-IS", str(layout.forward), str(layout.web)])
    return (
        f"[socket:{FORWARD}]\nhost = {bind[0]}\nport = {bind[1]}\n"
        f"{'family = AF_INET6' if ':' in bind[0] else 'family = AF_INET'}\n"
        f"[watcher:{FORWARD}]\n"
        f"cmd = {command} $(circus.sockets.{FORWARD})\n"
        "use_sockets = True\n"
        f"graceful_timeout = {FORWARD_TIMEOUT}\n"
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log(FORWARD)}\n"
    )


def bind_of(text: str) -> Bind:
    """The public listener in the text of a circus.ini."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    if not parser.has_section(f"socket:{FORWARD}"):
        return None
    section = parser[f"socket:{FORWARD}"]
    return section["host"], int(section["port"])


def watcher_name(process: str, number: int) -> str:
    """The name of the watcher for process type `process` of release `number`."""
    return f"{process}.{number}"


def watcher_text(layout: Layout, process: str, number: int, graceful_timeout: float, slot: str | None) -> str:
    """The text of conf.d/<watcher>.ini: start the release's launch.py, which reads the rest from its folder.

    `slot`: the socket that the processes listen on, if any.
    """
    name = watcher_name(process, number)
    # -IS: the search for installed packages takes longer than launch.py.
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
    """The socket in the text of a watcher's ini file."""
    found = re.search(r"\$\(circus\.sockets\.(\w+)\)", text)
    return found[1] if found else None

"""Write and read circus's ini files, and the `Supervisor` interface that circusd.py implements."""

import configparser
import pkgutil
import re
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk.layout import Layout

SLOTS = ("a", "b")
"""The two sockets that circusd holds: a new release gets the one that does not serve."""
FORWARD = "forward"
"""The watcher, and the listener, of the program that forwards the public port: runtime/forward.py."""
FORWARD_TIMEOUT = 60

DRAIN, DRAIN_TIMEOUT = "drain-", 10
"""The beginning of the name of the watcher that sends logs elsewhere."""
MAINTENANCE, MAINTENANCE_SLOT = "maintenance", "m"
"""The watcher, and the socket, of the program that answers in maintenance mode: runtime/maintenance.py."""
MAINTENANCE_TIMEOUT = 60

STOPPING = "stopping"
"""Status of a watcher that circus is stopping and will remove."""

_COUNT = re.compile(r"^numprocesses = (\d+)$", re.MULTILINE)

T = TypeVar("T")
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

    def scale(self, watcher: str, count: int) -> list[int]:
        """Let `watcher`, which is active, have `count` processes; wait for the end of those too many.

        Returns these.
        """

    def sweep(self, groups: Collection[int], keep: Collection[int]) -> None:
        """End what is left of the process `groups`, and of all releases but those in `keep`.

        circus misses children that left their parent, and those of a parent that it had to kill.
        """

    def run_once(self, name: str, command: Sequence[str], stopped: Callable[[], bool] | None = None) -> None:
        """Let circusd run `command` as its own user, and wait for its end.

        Without an end of waiting while circusd drains, but until `stopped`, if that is given.
        """

    def stop(self) -> None:
        """Stop and drain all watchers, then circusd itself unless systemd wants it up."""


def ask(circus: Supervisor, question: Callable[[], T]) -> T | None:
    """The answer to `question`; None if circusd does not run, or ends meanwhile, as beside a stop."""
    try:
        return question() if circus.running() else None
    except PackhorseError:
        if circus.running():
            raise
        return None


def write(layout: Layout, bind: Bind) -> None:
    """Write circus.ini, the program that runs circusd, and that which it starts for `bind`."""
    for path in (layout.supervisor, layout.forward) if bind else (layout.supervisor,):
        files.write_whole(path, pkgutil.get_data("release.host.runtime", path.name) or b"")
    files.write_whole(layout.circus_ini, circus_text(layout, bind).encode())


def circus_text(layout: Layout, bind: Bind) -> str:
    """The text of circus.ini where one user does all; for `bind` with a listener that is forwarded."""
    text = _circus_text(layout, layout.sockets, umask="077", socket_umask=0o117)
    return text + (_forward_text(layout, bind) if bind else "")


def server_text(layout: Layout, sockets: Path) -> str:
    """The text of circus.ini on a server, whose circusd makes its sockets in the folder `sockets`.

    Its user and the one that deploys are in one group, which may command circusd and read logs. The sockets
    of releases are for whoever may enter `sockets`: nginx and these two.
    """
    return _circus_text(layout, sockets, umask="007", socket_umask=0o111)


def _circus_text(layout: Layout, sockets: Path, umask: str, socket_umask: int) -> str:
    """circus reads the `umask` of logs and the control socket as octal, that of other sockets as decimal."""
    return (
        "[circus]\n"
        f"endpoint = ipc://{sockets / layout.control.name}\n"
        f"pubsub_endpoint = ipc://{sockets / layout.events.name}\n"
        "multicast_endpoint =\n"  # empty: no UDP listener
        "check_delay = 1\n"
        f"umask = {umask}\n"
        f"include_dir = {layout.watchers}\n"
    ) + "".join(
        f"[socket:{slot}]\npath = {sockets / layout.slot(slot).name}\n"
        f"umask = {socket_umask}\nreplace = True\n"
        for slot in SLOTS
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
    # By its port: earlier versions gave it another name.
    listeners = [parser[name] for name in parser.sections() if parser.has_option(name, "port")]
    return (listeners[0]["host"], int(listeners[0]["port"])) if listeners else None


def watcher_name(process: str, number: int, *, second: bool = False) -> str:
    """The name of the watcher for process type `process` of release `number`; no type ends in "+"."""
    return f"{process}{'+' if second else ''}.{number}"


def with_count(text: str, count: int) -> str:
    """The text of a watcher's ini file with another number of processes, and nothing else changed."""
    return _COUNT.sub(f"numprocesses = {count}", text)


def renamed(text: str, name: str) -> str:
    """The text of a watcher's ini file for another watcher of the same processes, with the same log."""
    return re.sub(r"^\[watcher:.*\]$", f"[watcher:{name}]", text, count=1, flags=re.MULTILINE)


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


def once_text(layout: Layout, process: str, number: int, graceful_timeout: float) -> str:
    """The text of conf.d/<watcher>.ini for a process that runs once, to its end: see runtime/once.py."""
    name = watcher_name(process, number)
    python = [sys.executable, "-IS"]
    once = [*python, str(layout.release(number) / "once.py"), str(layout.log(name))]
    return (
        f"[watcher:{name}]\n"
        f"cmd = {shlex.join([*once, *python, str(layout.launcher(number)), process])}\n"
        "numprocesses = 1\n"
        "respawn = False\n"
        f"graceful_timeout = {graceful_timeout:g}\n"
    )


def maintenance_text(layout: Layout) -> str:
    """The text of conf.d/maintenance.ini. Its socket is its own: a running circusd cannot remove one."""
    own = layout.own_sockets / layout.slot(MAINTENANCE_SLOT).name
    program = [layout.maintenance_program, layout.maintenance, layout.live, own]
    return (
        f"[watcher:{MAINTENANCE}]\n"
        f"cmd = {shlex.join([sys.executable, '-IS', *map(str, program)])}\n"
        "numprocesses = 1\n"
        f"graceful_timeout = {MAINTENANCE_TIMEOUT}\n"
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log(MAINTENANCE)}\n"
        f"stdout_stream.max_bytes = {2**20}\n"
    )


def drain_name(to: str) -> str:
    """The watcher of the program that sends logs to `to`; to another one it is another watcher."""
    return f"{DRAIN}{to}"


def drain_text(layout: Layout, to: str) -> str:
    """The text of its conf.d/….ini: the agent that was used last, see commands/log_sender.py."""
    program = [sys.executable, "-I", layout.agent, "drain", layout.app, layout.root, layout.run, to]
    return (
        f"[watcher:{drain_name(to)}]\n"
        f"cmd = {shlex.join(map(str, program))}\n"
        "numprocesses = 1\n"
        f"graceful_timeout = {DRAIN_TIMEOUT}\n"
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log('drain')}\n"
        f"stdout_stream.max_bytes = {2**20}\n"
    )


def is_of_release(watcher: str) -> bool:
    """Whether `watcher` is one of a release: others answer in maintenance mode, or send logs elsewhere."""
    return "." in watcher


def is_in_conf_d(watcher: str) -> bool:
    """Whether `watcher` is one of conf.d: circus.ini has that which forwards the public port, too."""
    return is_of_release(watcher) or watcher == MAINTENANCE or watcher.startswith(DRAIN)


def slot_of(text: str) -> str | None:
    """The socket in the text of a watcher's ini file."""
    found = re.search(r"\$\(circus\.sockets\.(\w+)\)", text)
    return found[1] if found else None

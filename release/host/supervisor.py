"""circus: the texts of its ini files (pure), its start, and its commands over the control socket."""

import configparser
import errno
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from packhorse.errors import PackhorseError
from release.host.layout import Layout

ANSWER_TIMEOUT = 30.0
# circus itself ends a drain, by SIGKILL after the watcher's graceful_timeout. This is for one that hangs.
DRAIN_TIMEOUT = 900.0
START_TIMEOUT = 20.0
POLL = 0.02
_COMMAND_ERROR = 5  # circus/commands/errors.py: "arbiter is already running …"

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
        """Watcher -> its status ("active", "stopped", …)."""

    def pids(self, watcher: str) -> list[int]:
        """The live processes of `watcher`; none when there is no such watcher."""

    def reload(self) -> None:
        """Make the watchers equal to conf.d: stop and drain those that went, start those that came."""

    def stop(self) -> None:
        """Stop and drain all watchers, then circusd itself unless systemd wants it up."""


def circus_text(layout: Layout, bind: Bind) -> str:
    """circus.ini. Its `umask` is octal and covers the control socket; that of a socket is read as decimal."""
    if bind:
        listener = f"host = {bind[0]}\nport = {bind[1]}\n"
        if ":" in bind[0]:
            listener += "family = AF_INET6\n"
    else:
        listener = f"path = {layout.web}\numask = 79\nreplace = True\n"  # 79 is 0117: rw-rw----
    return (
        "[circus]\n"
        f"endpoint = ipc://{layout.control}\n"
        f"pubsub_endpoint = ipc://{layout.events}\n"
        "multicast_endpoint =\n"  # empty: no UDP listener
        "check_delay = 1\n"
        "umask = 077\n"
        f"include_dir = {layout.watchers}\n"
        f"[socket:web]\n{listener}"
    )


def bind_of(text: str) -> Bind:
    """The public listener that a circus.ini configures."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    section = parser["socket:web"]
    return (section["host"], int(section["port"])) if "host" in section else None


def watcher_name(process: str, number: int) -> str:
    """The watcher of process type `process` of release `number`."""
    return f"{process}.{number}"


def watcher_text(layout: Layout, process: str, number: int, graceful_timeout: float) -> str:
    """conf.d/<watcher>.ini: start the release's launch.py, which reads everything else from its folder."""
    name = watcher_name(process, number)
    # -IS: without the search for installed packages, which costs more than all of launch.py.
    launch = [sys.executable, "-IS", str(layout.launcher(number)), str(layout.probe(number)), process]
    return (
        f"[watcher:{name}]\n"
        f"cmd = {shlex.join(launch)} $(circus.sockets.web)\n"
        "use_sockets = True\n"
        "numprocesses = 1\n"
        f"graceful_timeout = {graceful_timeout + 5:g}\n"  # the server's own limit ends first
        "stdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {layout.log(name)}\n"
        f"stdout_stream.max_bytes = {10 * 2**20}\n"
        "stdout_stream.backup_count = 3\n"
    )


class Circus:
    """The circusd of one application, spoken to directly: circusctl costs 0.3 s and exits 0 on errors."""

    def __init__(self, layout: Layout, *, supervised: bool = False) -> None:
        self.layout = layout
        self.supervised = supervised
        """Whether systemd keeps circusd up: then we wait for it, and never start or end it."""

    def running(self) -> bool:
        return self.pid() is not None

    def pid(self) -> int | None:
        """The process that listens on the control socket: the kernel knows, a pid file would only claim."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.layout.control))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", peer)[0])

    def check(self, bind: Bind) -> None:
        if self.supervised:
            self.start()
        if self.running():
            self.watchers()
        else:
            check_free(bind)

    def start(self) -> None:
        if self.supervised:
            self._await_systemd()
            return
        check_free(bind_of(self.layout.circus_ini.read_text()))
        with self.layout.circusd_log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-Im", "circus.circusd", str(self.layout.circus_ini)],
                cwd=self.layout.folder,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},  # circus expands $(circus.env.…) from it
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.running():
            if process.poll() is not None or time.monotonic() > deadline:
                raise PackhorseError(
                    "circusd did not start.",
                    f"Look at its log: {self.layout.circusd_log}",
                    detail=tail(self.layout.circusd_log),
                )
            time.sleep(POLL)

    def _await_systemd(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.running():
            if time.monotonic() > deadline:
                unit = f"packhorse@{self.layout.app}"
                raise PackhorseError(
                    f"circusd does not run, and systemd has not started it within {START_TIMEOUT:g} s.",
                    f"Look at: systemctl status {unit}",
                    detail=tail(self.layout.circusd_log),
                )
            time.sleep(POLL)

    def watchers(self) -> dict[str, str]:
        statuses: dict[str, str] = self._call("status", ANSWER_TIMEOUT)["statuses"]
        return statuses

    def pids(self, watcher: str) -> list[int]:
        answer = self._call("list", ANSWER_TIMEOUT, check=False, name=watcher)
        pids: list[int] = answer.get("pids", [])
        return pids

    def reload(self) -> None:
        self._call("reloadconfig", DRAIN_TIMEOUT, waiting=True)

    def stop(self) -> None:
        pid = self.pid()
        if pid is None:
            return
        if self.supervised:
            self.reload()
            return
        self._call("quit", DRAIN_TIMEOUT, waiting=True)
        import psutil

        try:  # the listener closes after the answer: the next circusd could not bind
            psutil.Process(pid).wait(ANSWER_TIMEOUT)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            psutil.Process(pid).kill()

    def _call(
        self, command: str, timeout: float, *, check: bool = True, **properties: object
    ) -> dict[str, Any]:
        """Send `command`, wait up to `timeout` seconds for its answer; again while circus is busy."""
        deadline = time.monotonic() + timeout
        pause = POLL
        while True:
            answer = self._send(command, deadline, properties)
            if answer.get("status") != "error" or not check:
                return answer
            if answer.get("errno") != _COMMAND_ERROR or time.monotonic() > deadline:
                raise PackhorseError(
                    f"circusd refused {command}: {answer.get('reason')}",
                    f"Look at its log: {self.layout.circusd_log}",
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _send(self, command: str, deadline: float, properties: dict[str, object]) -> dict[str, Any]:
        import zmq

        message = {"id": "1", "command": command, "properties": properties}
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(f"ipc://{self.layout.control}")
            dealer.send(json.dumps(message).encode())
            if not dealer.poll(max(0, int((deadline - time.monotonic()) * 1000))):
                raise PackhorseError(
                    f"circusd did not answer {command} in time.",
                    f"Look at its log: {self.layout.circusd_log}",
                )
            answer: dict[str, Any] = json.loads(dealer.recv())
            return answer


def check_free(bind: Bind) -> None:
    """Raise PackhorseError when the address cannot be listened on, before circusd fails less clearly."""
    if bind is None:
        return
    host, port = bind
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(bind)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "somebody else listens there" if taken else os.strerror(error.errno or 0).lower()
            raise PackhorseError(
                f"The port {port} of {host} cannot be used: {reason}.",
                "Choose another address in release.toml: targets.local.bind",
            ) from error


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, "" when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
            return b"\n".join(file.read().splitlines()[-lines:]).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""

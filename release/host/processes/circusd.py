"""Start, command and stop the circusd of one application, over its control socket."""

import contextlib
import errno
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, process_table
from release.host.processes.circus_ini import Bind, bind_of
from release.host.runtime import sweep

if TYPE_CHECKING:
    import psutil

ANSWER_TIMEOUT = 30.0
# circus ends a drain itself, by SIGKILL after the watcher's graceful_timeout: this is for one that hangs.
DRAIN_TIMEOUT = 24 * 3600.0
START_TIMEOUT = 20.0
POLL = 0.02
ALIVE_INTERVAL = 10
"""Milliseconds between checks that circusd is alive while its answer is awaited."""
# The stop timeout of an orphan is unknown: its release may be gone.
ORPHAN_GRACE = 10.0
_COMMAND_ERROR = 5  # circus/commands/errors.py: "arbiter is already running …"


def _never() -> bool:
    return False


class Circus:
    """The circusd of one application. Not through circusctl: it takes 0.3 s and exits with 0 on errors."""

    def __init__(self, layout: Layout, *, supervised: bool = False) -> None:
        self.layout = layout
        self.supervised = supervised
        """Whether systemd runs circusd: then we wait for it, and never start or stop it."""

    def running(self) -> bool:
        return self.pid() is not None

    def pid(self) -> int | None:
        """The process that listens on the control socket, if any: a pid file could be stale."""
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
        self._end_orphans()
        bind = bind_of(self.layout.circus_ini.read_text())
        check_free(bind)
        circus_ini.write(self.layout, bind)  # an earlier version may have written the present one
        with files.open_log(self.layout.circusd_log) as log:
            process = subprocess.Popen(
                [sys.executable, "-I", str(self.layout.supervisor), str(self.layout.circus_ini)],
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
                raise self._failure("circusd did not start.")
            time.sleep(POLL)

    def _end_orphans(self) -> None:
        """Stop the children of a killed circusd: they hold the port, and nobody would restart them."""
        process_table.end([process.pid for process in process_table.find(self.layout)], ORPHAN_GRACE)

    def _await_systemd(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.running():
            if time.monotonic() > deadline:
                unit = f"packhorse@{self.layout.app}"
                raise PackhorseError(
                    f"circusd does not run, and systemd has not started it within {START_TIMEOUT:g} s.",
                    f"Look at: systemctl status {unit}",
                    detail=files.last_lines(self.layout.circusd_log),
                )
            time.sleep(POLL)

    def watchers(self) -> dict[str, str]:
        statuses: dict[str, str] = self._call("status", ANSWER_TIMEOUT)["statuses"]
        return {name: status for name, status in statuses.items() if circus_ini.is_in_conf_d(name)}

    def pids(self, watcher: str) -> list[int]:
        answer = self._call("list", ANSWER_TIMEOUT, check=False, name=watcher)
        pids: list[int] = answer.get("pids", [])
        return pids

    def reload(self, leaving: Mapping[str, list[int]] | None = None) -> None:
        processes = process_table.alive_of([pid for pids in (leaving or {}).values() for pid in pids])

        def drained() -> bool:
            """Whether all have ended, and circus has not restarted one before it took our command."""
            if leaving is None or process_table.wait(processes, 0):
                return False
            statuses = self.watchers()
            return not any(statuses.get(name) == "active" or self.pids(name) for name in leaving)

        # circus looks for their end ten times a second: waiting for it makes a deploy a tenth longer.
        self._call("reloadconfig", DRAIN_TIMEOUT, done=drained, waiting=True)

    def scale(self, watcher: str, count: int) -> list[int]:
        answer = self._call("get", ANSWER_TIMEOUT, name=watcher, keys=["numprocesses"])
        more = count - answer["options"]["numprocesses"]
        if not more:
            return []
        before = self.pids(watcher)
        # Not `set`: it runs beside circus's own checks, which may take away what it waits for.
        command = "incr" if more > 0 else "decr"
        self._call(command, DRAIN_TIMEOUT, name=watcher, nb=abs(more), waiting=True)
        after = self.pids(watcher)
        return [pid for pid in before if pid not in after]

    def sweep(self, groups: Collection[int], keep: Collection[int]) -> None:
        if not self.layout.separate:
            sweep.main(self.layout.releases, groups, keep)
        elif (pid := self.pid()) and process_table.strays(pid):
            self.run_once("sweep", sweep.command(self.layout.releases, groups, keep))

    def run_once(self, name: str, command: Sequence[str], stopped: Callable[[], bool] | None = None) -> None:
        # No process type of a Procfile has this name.
        name = f"+{name}"
        self._call("rm", ANSWER_TIMEOUT, check=False, name=name, waiting=True)  # of an agent that was killed
        # Until what drains has ended, circusd takes no command: who can stop the wait waits for that.
        timeout = DRAIN_TIMEOUT if stopped else ANSWER_TIMEOUT
        started = self._call(
            *("add", timeout),
            stopped=stopped or _never,
            name=name,
            cmd=shlex.join(command),
            start=True,
            options={"respawn": False},
        )
        if started:
            process_table.wait(process_table.alive_of(self.pids(name)), ANSWER_TIMEOUT)
            # Refused while a deploy reloads circusd, which removes it then.
            self._call("rm", ANSWER_TIMEOUT, check=stopped is None, name=name, waiting=True)

    def stop(self) -> None:
        pid = self.pid()
        if self.supervised:
            if pid:
                self.reload()
            return
        if pid is None:
            self._end_orphans()
            return
        circusd = self._process()
        self._call("quit", DRAIN_TIMEOUT, waiting=True)
        # The listener closes after the answer: the next circusd could not bind.
        for process in process_table.wait(circusd, ANSWER_TIMEOUT):
            process.kill()

    def _process(self) -> "list[psutil.Process]":
        """circusd's own process, in a list; an empty list when it does not run."""
        import psutil

        pid = self.pid()
        with contextlib.suppress(psutil.NoSuchProcess):
            return [psutil.Process(pid)] if pid else []
        return []

    def _call(
        self,
        command: str,
        timeout: float,
        *,
        check: bool = True,
        done: Callable[[], bool] = _never,
        stopped: Callable[[], bool] = _never,
        **properties: object,
    ) -> dict[str, Any]:
        """Send `command` and wait up to `timeout` seconds for its answer; retry while circus is busy.

        Stop waiting, with an empty answer, as soon as `done` is true; try no more when `stopped` is.
        """
        deadline = time.monotonic() + timeout
        pause = POLL
        while True:
            answer = self._send(command, deadline, properties, done)
            if answer.get("status") != "error" or not check:
                return answer
            if answer.get("errno") != _COMMAND_ERROR or time.monotonic() > deadline:
                raise self._failure(f"circusd refused {command}: {answer.get('reason')}")
            if stopped():
                return {}
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _send(
        self, command: str, deadline: float, properties: dict[str, object], done: Callable[[], bool]
    ) -> dict[str, Any]:
        import zmq

        circusd = self._process()
        message = {"id": "1", "command": command, "properties": properties}
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        with context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.connect(f"ipc://{self.layout.control}")
            dealer.send(json.dumps(message).encode())
            while not dealer.poll(ALIVE_INTERVAL):
                if done():
                    return {}
                killed = not process_table.wait(circusd, 0)
                if killed or time.monotonic() > deadline:
                    what = "was killed" if killed else "hangs"
                    raise self._failure(f"circusd {what}: it did not answer {command}.")
            try:
                answer = json.loads(dealer.recv())
            except (ValueError, RecursionError):
                answer = None
            if not isinstance(answer, dict):
                raise self._failure(f"What answers {command} is not circusd.")
            return answer

    def _failure(self, message: str) -> PackhorseError:
        """The error for circusd, with the last lines of its log."""
        log = self.layout.circusd_log
        return PackhorseError(message, f"Its whole log is {log}", detail=files.last_lines(log))


def check_free(bind: Bind) -> None:
    """Raise PackhorseError when nobody can listen on `bind`: circusd's own error would be less clear."""
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

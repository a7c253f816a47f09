"""Start a one-off process of a release (runtime/oneoff.py), and talk to it over a socket."""

import contextlib
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from packhorse.files import open_log, read_beginning
from release.host.control.session import Session
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import usage
from release.host.processes.circus_ini import Supervisor
from release.host.runtime import oneoff

START_TIMEOUT = 10.0
TRIES = 5
END_TIMEOUT = 3 * oneoff.GRACE + oneoff.KILL_TIMEOUT + 5
"""Seconds in which oneoff.py ends its command and what that leaves behind, and 5 for a slow host."""
LONGEST_ANSWER = 65536
MOST_RUNNING = 50
"""One-offs that are listed: the application may write logs as if there were any number of them."""
LONGEST_COMMAND = 502
"""Characters, as commands/run.py cuts it."""
_LINE = re.compile(rb"\S+Z (?P<pid>[0-9]{1,9}) (?P<text>.*)")


@dataclass
class OneOff:
    """A one-off that runs: its process, and our ends of its stdin, stdout and stderr, or of its terminal.

    All that it says comes from a user whom we do not trust: see docs/security.md.
    """

    connection: socket.socket
    pid: int
    files: list[int]

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        with contextlib.suppress(OSError):  # it has ended
            self.connection.sendall(json.dumps({"signal": number}).encode() + b"\n")

    def end(self) -> None:
        """Let it end: SIGHUP, then SIGTERM, then SIGKILL; what has not ended then is waited for no longer."""
        self._shut(socket.SHUT_WR)
        late = threading.Timer(END_TIMEOUT, self._shut, [socket.SHUT_RDWR])
        late.daemon = True
        late.start()

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(how)

    def wait(self) -> int | None:
        """Wait for its end, and return its exit status; None: it was killed with its oneoff.py."""
        status = _answer(self.connection, 0)[0].get("status")
        return status if isinstance(status, int) and 0 <= status <= 255 else None


def start(
    layout: Layout,
    circus: Supervisor,
    session: Session,
    choose: Callable[[], int],
    **asked: object,
) -> tuple[int, OneOff]:
    """Start a command with the release that `choose` names, and return both; `asked` is as in oneoff.py.

    A release that is being removed at this moment is another one's past: the choice is made anew. Raises
    PackhorseError, with the exit code 126 or 127 for a command that cannot be run.
    """
    for _ in range(TRIES):
        number = choose()
        whole = {"release": str(layout.release(number)), **asked}
        if started := _start(layout, circus, session, whole):
            return number, started
        session.safe_point()
    if (held := oneoff.hold(layout.release(number))) is None:
        ready = layout.release(number) / releases.READY
        raise PackhorseError(
            f"Release {number} of {layout.app} is being removed, or another process has locked its READY.",
            f"Find out which does, and end it: sudo lsof {ready}",
        )
    os.close(held)
    raise PackhorseError(
        f"The one-off did not start in {TRIES} tries.",
        f"Look at what circusd says (journalctl -u packhorse@{layout.app}), and at {layout.circusd_log}",
    )


def _start(
    layout: Layout, circus: Supervisor, session: Session, asked: Mapping[str, object]
) -> OneOff | None:
    """Start it; None: its release is gone, or circusd was stopped in the middle."""
    name = secrets.token_hex(16)
    program = [sys.executable, "-IS", str(Path(oneoff.__file__)), name]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        if layout.separate:
            if not circus.running():
                circus.start()
            circus.run_once(f"run-{name[:12]}", program, session.controller.stop.is_set)
            session.safe_point()
            user = layout.control.stat().st_uid
        else:
            with open_log(layout.circusd_log) as log:
                subprocess.run(program, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=True)
            user = os.getuid()
        try:
            connection = _accept(listener, user)
        except TimeoutError:
            return None
    connection.settimeout(START_TIMEOUT)
    try:
        connection.sendall(json.dumps(asked).encode() + b"\n")
        answer, files = _answer(connection, 3)
    except (TimeoutError, ConnectionError):
        return None
    connection.settimeout(None)
    if "text" in answer:
        failure = PackhorseError(
            f"There is no such command in the release, nor on this host: {answer['text']}",
            "Its PATH begins with the release's virtualenv; a shell has to be named: -- sh -c 'a | b'",
        )
        failure.exit_code = 126 if answer.get("status") == oneoff.NOT_EXECUTABLE else oneoff.NOT_FOUND
        raise failure
    if len(files) == (1 if asked["terminal"] else 3) and isinstance(answer.get("pid"), int):
        return OneOff(connection, answer["pid"], files)
    return None


def _accept(listener: socket.socket, user: int) -> socket.socket:
    """The connection of a process of `user`; all others may know the name, too. Raises TimeoutError."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        listener.settimeout(max(0.001, deadline - time.monotonic()))
        connection, _ = listener.accept()
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", peer)[1] == user:
            return connection
        connection.close()


def _answer(connection: socket.socket, most: int) -> tuple[dict[str, Any], list[int]]:
    """The next line of the one-off, and `most` descriptors that came with it; {} at the end.

    Raises TimeoutError when it has not come within the connection's timeout, also byte by byte.
    """
    data, files = b"", list[int]()
    timeout = connection.gettimeout()
    deadline = time.monotonic() + (timeout or 0)
    try:
        while not data.endswith(b"\n") and len(data) < LONGEST_ANSWER:
            if timeout is not None:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
            more, received, _, _ = socket.recv_fds(connection, LONGEST_ANSWER, most)
            for each in received[most - len(files) :]:
                os.close(each)
            files += received[: most - len(files)]
            if not more:
                return {}, files
            data += more
    except ConnectionError:
        pass
    finally:
        connection.settimeout(timeout)
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return {}, files
    return (answer if isinstance(answer, dict) else {}), files


@dataclass(frozen=True)
class Running:
    """A one-off that runs, by its log: the process, its release, and the `command` as it was given."""

    pid: int
    release: int
    command: str


def running(layout: Layout, processes: Mapping[int, usage.Stat]) -> list[Running]:
    """The one-offs among all `processes`: what their logs begin with may be the application's invention."""
    found: dict[int, Running] = {}
    for path in _newest(layout.logs.glob("run.*.*.log")):
        line = _LINE.match(read_beginning(path, 1024))
        number = path.name.split(".")[1]
        if not line or not re.fullmatch("[0-9]{1,9}", number) or int(line["pid"]) not in processes:
            continue
        parent = Path(f"/proc/{processes[int(line['pid'])].parent}/cmdline")
        with contextlib.suppress(OSError):  # it has ended
            if Path(oneoff.__file__).name.encode() in parent.read_bytes():
                command = line["text"].decode("utf-8", "replace").rpartition(": started by ")[0]
                found[int(line["pid"])] = Running(int(line["pid"]), int(number), command[:LONGEST_COMMAND])
    return sorted(found.values(), key=lambda one: one.pid)


def _newest(paths: Iterable[Path]) -> list[Path]:
    times = {}
    for path in paths:
        with contextlib.suppress(OSError):  # it was removed just now
            times[path] = path.lstat().st_mtime
    return sorted(times, key=lambda path: times[path])[-MOST_RUNNING:]

"""Run one command with the code and configuration of a release, for an agent that takes its input and output.

On servers circusd starts it, as the user and within the limits of the application's processes; elsewhere the
agent does. It leaves whoever started it, and lives as long as its command and the agent. It imports the
standard library only.

The agent listens on the abstract unix socket NAME (unix(7)), and first says what to run, in one line:
{"release": FOLDER, "command": [...], "terminal": {"rows", "columns", "type"} or null}. The answer is
{"pid"}, with the other ends of stdin, stdout and stderr, or with the terminal's; or {"gone": true}: that
release is being removed; or {"status", "text"}: it did not start. Then the agent may send {"signal": NUMBER},
and gets {"status"} at the end, 128 + N for signal N. Its end of the connection ends the command.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

MARK = "PACKHORSE_ONE_OFF"
"""Environment variable of a one-off's processes: the process id of this program. As in sweep.py."""
GRACE = 5.0
"""Seconds after SIGHUP, and again after SIGTERM, for a command that nobody waits for any more."""
KILL_TIMEOUT = 5.0
_RESET = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGPIPE", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGXFSZ")
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # sh(1)


def main(name: str) -> None:
    """Run the command that the agent at socket `name` asks for."""
    if os.fork():
        os._exit(0)  # circusd, or the agent, has nothing more to do with it
    os.setsid()
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(f"\0{name}")
        user = struct.unpack("3i", agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if user not in {os.getuid(), Path(__file__).stat().st_uid}:
            return  # somebody else has taken the name
        with agent.makefile("rb") as lines:
            asked = json.loads(lines.readline())
        release = Path(asked["release"])
        if (held := hold(release)) is None:
            say(agent, gone=True)
            return
        run(agent, asked, release)
        os.close(held)


def say(agent: socket.socket, files: tuple[int, ...] = (), **message: object) -> None:
    """Send `message`, with `files`, to the agent, which may have ended."""
    with contextlib.suppress(OSError):
        socket.send_fds(agent, [json.dumps(message).encode() + b"\n"], files)


def hold(release: Path) -> int | None:
    """A descriptor that keeps the folder `release` from being removed (a shared lock); None: it is gone."""
    try:
        ready = os.open(release / "READY", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(ready, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(ready), (release / "READY").stat()):
            return ready
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(ready)
    return None


def run(agent: socket.socket, asked: dict[str, Any], release: Path) -> None:
    """Start the command, pass signals on, tell its status; end what it leaves behind."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)  # its orphans become ours
    # systemd ends the whole unit: the command then ends as it does without an agent.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: leave(agent))
    theirs, ours = terminal(asked["terminal"]) if asked["terminal"] else pipes()
    try:
        child = start(asked, release, theirs)
    except OSError as error:
        status = NOT_EXECUTABLE if isinstance(error, PermissionError) else NOT_FOUND
        say(agent, status=status, text=f"{asked['command'][0]}: {error.strerror}")
        return
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    say(agent, ours, pid=child.pid)
    for descriptor in ours:
        os.close(descriptor)
    status = attend(agent, child)
    end_children()
    say(agent, status=status if status >= 0 else 128 - status)


def leave(agent: socket.socket) -> None:
    """Read nothing more from `agent`, as if it had ended."""
    with contextlib.suppress(OSError):
        agent.shutdown(socket.SHUT_RD)


def pipes() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """stdin, stdout and stderr for the command, and their other ends."""
    (read_in, write_in), (read_out, write_out), (read_err, write_err) = os.pipe(), os.pipe(), os.pipe()
    return (read_in, write_out, write_err), (write_in, read_out, read_err)


def terminal(wanted: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A new terminal for the command, of this user as it may be opened again by its name; its other end."""
    controller, end = pty.openpty()
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("4H", wanted["rows"], wanted["columns"], 0, 0))
    return (end,), (controller,)


def start(asked: dict[str, Any], release: Path, theirs: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    """Start the command as a process of `release`, in a session of its own. Raises OSError."""
    launch = runpy.run_path(str(Path(__file__).with_name("launch.py")))
    variables = {**launch["environment"](release, listens=False), MARK: str(os.getpid())}
    if asked["terminal"]:
        variables["TERM"] = asked["terminal"]["type"]
    work = release / launch["WORK"]

    def become() -> None:
        for name in _RESET:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if asked["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    return subprocess.Popen(
        asked["command"],
        stdin=theirs[0],
        stdout=theirs[len(theirs) > 1],
        stderr=theirs[-1],
        cwd=work if work.is_dir() else release,  # an earlier version made none
        env=variables,
        umask=0o027,
        start_new_session=True,
        preexec_fn=become,  # noqa: PLW1509  # there is one thread
    )


def attend(agent: socket.socket, child: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of the command, and return its status; pass on the agent's signals.

    End the command when the agent has gone.
    """
    ended, rest = os.pidfd_open(child.pid), b""
    endings = [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL]
    waiting: list[int | socket.socket] = [ended, agent]
    while ended not in (ready := select.select(waiting, [], [], None if agent in waiting else GRACE)[0]):
        if ready and (more := agent.recv(4096)):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                os.killpg(child.pid, json.loads(line)["signal"])
        elif endings:
            waiting = [ended]
            os.killpg(child.pid, endings.pop(0))
            os.killpg(child.pid, signal.SIGCONT)
        else:  # not even SIGKILL helps, as its file system hangs
            return -signal.SIGKILL
    return child.wait()


def end_children() -> None:
    """Kill what the command has left behind, also in sessions of their own: all became children of ours."""
    deadline = time.monotonic() + KILL_TIMEOUT
    while (left := children(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def children(parent: int) -> list[int]:
    """The child processes of `parent`, as far as this user sees them."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal():  # proc(5): the parent comes second after the name in brackets
                fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
                found += [int(process.name)] if int(fields[1]) == parent else []
    return found


if __name__ == "__main__":
    main(sys.argv[1])

"""Run circusd with logs of whole lines, each with its time and process, and a record of starts and ends.

A log has lines `TIME PID TEXT`; after the PID is a `+` when the text goes on in that process's next line. It
is started in the folder of an application, and imports the standard library and circus only.
"""

import contextlib
import fcntl
import json
import os
import stat
import struct
import termios
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import circus.arbiter
import circus.circusd
import circus.process
import circus.stream
import circus.stream.redirector
import circus.watcher
from tornado import gen, ioloop

LONGEST = 64 * 1024
"""Bytes of a line that are kept in memory: what is longer is written in pieces."""
SILENCE = 1.0
"""Seconds after which a line without an end is written."""
PIPE = 64 * 1024
"""Bytes that are read at once: what a pipe holds (pipe(7)); circus's default is 1024."""
MOST, PARTS = 10 * 2**20, 3
"""Bytes of a log, and how many parts of that size stay beside it: NAME.log.1 is the newest."""
PROCESSES = "log/processes.jsonl"
MOST_PROCESSES = 2**20


def now() -> str:
    """The time in all logs."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class LogFile:
    """A file of whole lines, which is moved to NAME.1, NAME.2, … when it is full. It never raises.

    What cannot be written, as the disk is full, is counted, and the file says so when there is room again.
    The processes of the application may write to its folder: what they put into the place of the file is
    followed when it is a file, and removed when it is a link or a pipe, which could lead or block anywhere.
    """

    def __init__(self, path: Path, most: int, parts: int) -> None:
        self.path, self.most, self.parts = path, most, parts
        self._descriptor = -1
        self._found: os.stat_result | None = None
        self._size, self._lost, self._why = 0, 0, ""

    def write(self, lines: bytes) -> None:
        """Append whole lines, all of them or the first ones."""
        text = f"{self._lost} bytes of output were lost here: {self._why}"
        data = (_line(os.getpid(), text.encode()) if self._lost else b"") + lines
        kept = 0
        try:
            self._prepare(len(data))
            kept, problem = self._append(data)
            if problem:
                raise problem
        except OSError as error:
            self._lost = len(data) - kept if kept else self._lost + len(lines)
            self._why = os.strerror(error.errno or 0)
        else:
            self._lost = 0

    def close(self) -> None:
        """Close the file until the next line."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:  # circus forgets streams without closing them
        self.close()

    def _prepare(self, size: int) -> None:
        """Have the file open, and room in it."""
        with contextlib.suppress(FileNotFoundError):
            there = self.path.lstat()
            if self._descriptor >= 0 and self._found and os.path.samestat(there, self._found):
                self._size = there.st_size  # two watchers may have one log
                if self._size and self._size + size > self.most:
                    self._rotate()
                return
        self.close()
        self._open()

    def _rotate(self) -> None:
        try:
            for number in range(self.parts, 0, -1):
                before = self._part(number - 1) if number > 1 else self.path
                with contextlib.suppress(FileNotFoundError):
                    before.replace(self._part(number))
        except OSError:  # such as a folder in the place of a part: then the file is emptied, to stay bounded
            os.ftruncate(self._descriptor, 0)
        self.close()
        self._open()

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(self.path.lstat().st_mode):
                self.path.unlink()
        self._descriptor = os.open(self.path, flags, 0o666)
        self._found = os.fstat(self._descriptor)
        self._size = self._found.st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            _, problem = self._append(b"\n")  # a power cut, or an earlier version, has left half a line
            if problem:
                raise problem

    def _append(self, data: bytes) -> tuple[int, OSError | None]:
        """Write `data`; returns how many bytes of it the file has, and why it has not all."""
        written, problem = 0, None
        try:
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError as error:
            problem = error
            written = data.rfind(b"\n", 0, written) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size + written)  # the next line must not go on in this
        self._size += written
        return written, problem


def _line(pid: int, text: bytes, mark: bytes = b"") -> bytes:
    return b"%s %d%s %s\n" % (now().encode(), pid, mark, text)


class LineStream:
    """Takes what the processes of a watcher write, as circus's FileStream, and writes lines to its log.

    Bytes stay as they are, also those that are no UTF-8.
    """

    def __init__(self, filename: str, max_bytes: str = "0", backup_count: str = "0", **_: object) -> None:
        self.log = LogFile(Path(filename), int(max_bytes) or MOST, int(backup_count) or PARTS)
        self.begun: dict[int, tuple[bytes, float]] = {}  # process -> its line without an end, and since when
        self.loop = ioloop.IOLoop.current()
        self.timer: object = None

    def __call__(self, data: dict[str, Any]) -> None:
        """Write the whole lines that are there; `data`: what circus's Redirector has read."""
        pid: int = data["pid"]
        begun, _ = self.begun.pop(pid, (b"", 0.0))
        whole, newline, rest = (begun + data["data"]).rpartition(b"\n")
        head = b"%s %d " % (now().encode(), pid)
        out = head + whole.replace(b"\n", b"\n" + head) + b"\n" if newline else b""
        while len(rest) > LONGEST:
            out += _line(pid, rest[:LONGEST], b"+")
            rest = rest[LONGEST:]
        if out:
            self.log.write(out)
        if rest:
            self.begun[pid] = rest, self.loop.time()
            self.timer = self.timer or self.loop.call_later(SILENCE, self._silent)

    def end(self, pid: int) -> None:
        """Write the line without an end of a process that has ended."""
        if pid in self.begun:
            self.log.write(_line(pid, self.begun.pop(pid)[0]))

    def close(self) -> None:
        """Write what there is, and close the log."""
        for pid in list(self.begun):
            self.end(pid)
        self.log.close()

    def _silent(self) -> None:
        """Write the lines without an end that have waited for it."""
        before = self.loop.time() - SILENCE
        for pid in [pid for pid, (_, since) in self.begun.items() if since <= before]:
            self.log.write(_line(pid, self.begun.pop(pid)[0], b"+"))
        self.timer = self.loop.call_later(SILENCE, self._silent) if self.begun else None


class Redirector(circus.stream.redirector.Redirector):
    """Reads what processes write, to the last byte: circus closes the pipe of one that has ended unread."""

    def __init__(self, *streams: object, **options: object) -> None:
        super().__init__(*streams, buffer=PIPE, **options)

    def remove_fd(self, fd: int) -> None:
        """Take what a pipe still has, and leave it."""
        if fd in self.pipes:
            name, process, pipe = self.pipes[fd]
            stream = self.redirect[name]
            if not pipe.closed:
                waiting = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
                if waiting:
                    stream({"data": os.read(fd, waiting), "pid": process.pid, "name": name})
            if isinstance(stream, LineStream):
                stream.end(process.pid)
        super().remove_fd(fd)


class Process(circus.process.Process):
    """A process whose last words are read before its pipe is closed."""

    def close_output_channels(self) -> None:
        """Close the pipe."""
        if self.watcher.stream_redirector:
            self.watcher.stream_redirector.remove_redirections(self)
        super().close_output_channels()


class Watcher(circus.watcher.Watcher):
    """A watcher that records the starts and ends of its processes."""

    _process_class, _redirector_class = Process, Redirector

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.recorded: set[int] = set()
        self.asked: set[int] = set()  # processes that circus was told to stop

    def notify_event(self, topic: str, msg: dict[str, Any]) -> None:
        """Record the events of processes, besides publishing them."""
        super().notify_event(topic, msg)
        if topic == "spawn":
            self.recorded.add(msg["process_pid"])
            record(self.name, msg["process_pid"], "started", None)
        elif topic == "reap":
            self._ended(msg["process_pid"], msg["exit_code"])

    @gen.coroutine
    def kill_process(
        self, process: Process, *arguments: object, **options: object
    ) -> Generator[Any, Any, Any]:
        """Stop a process; when there are fewer than before, circus tells nobody of its end."""
        self.asked.add(process.pid)
        stopped = yield super().kill_process(process, *arguments, **options)
        if stopped:
            self._ended(process.pid, process.returncode())
        return stopped

    @gen.coroutine
    def manage_processes(self) -> Generator[Any, Any, Any]:
        """Start and stop what there should be; circus forgets one that has ended just now without a word."""
        if not self.is_stopped():
            for process in list(self.processes.values()):
                if process.status in {circus.process.DEAD_OR_ZOMBIE, circus.process.UNEXISTING}:
                    self.reap_process(process.pid)
        yield super().manage_processes()

    def _ended(self, pid: int, status: int | None) -> None:
        if pid in self.recorded:
            self.recorded.remove(pid)
            record(self.name, pid, "ended", status, asked=pid in self.asked)
        self.asked.discard(pid)


_processes = LogFile(Path(PROCESSES).absolute(), MOST_PROCESSES, 1)


def record(watcher: str, pid: int, event: str, status: int | None, *, asked: bool = False) -> None:
    """Append a start or an end to the record; `status` -N: ended by signal N, None: unknown or running.

    `asked`: circus was told to stop it. One that ends without that is started again.
    """
    entry = {"at": now(), "watcher": watcher, "pid": pid, "event": event, "status": status, "asked": asked}
    _processes.write(json.dumps(entry).encode() + b"\n")


def main() -> None:
    """Run circusd, with its own arguments. Its own start ends all processes that were recorded before."""
    # Ini files that an earlier version has written name FileStream, and it can read those of this one.
    circus.stream.FileStream = LineStream
    circus.arbiter.Watcher = Watcher
    record("circusd", os.getpid(), "started", None)
    circus.circusd.main()


if __name__ == "__main__":
    main()

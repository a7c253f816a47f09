"""Run a command once, below circusd: its output goes to a new log, its exit status to LOG.status.

circus starts a copy of this file in a release; it imports the standard library only.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

LONGEST = 64 * 1024
"""Bytes of a line that are kept in memory; what is longer is written in pieces, with a + after the PID."""
PIPE = 2**20
"""Bytes that a pipe may hold (pipe(7))."""
POLL = 0.02

_forwarded: set[int] = set()


def main(log: Path, command: list[str]) -> None:
    """Run `command`, record its status (128 + N: ended by signal N), and end what it leaves behind.

    circus has made us the leader of a process group. A log that is there means that a circusd was killed and
    the next one has started us again: nobody knows what the command has done, so it does not run twice.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, _forward)
    try:
        output = os.open(log, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o660)
    except FileExistsError:
        return
    reader, writer = os.pipe()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer)
    os.close(writer)
    for early in _forwarded.copy():  # there was nobody yet to get it
        os.killpg(0, early)
    status = _copy(reader, output, child)
    scratch = log.with_name(f".{log.name}.status")
    scratch.write_text(str(status if status >= 0 else 128 - status))
    scratch.replace(log.with_name(f"{log.name}.status"))
    os.killpg(0, signal.SIGKILL)


def _copy(reader: int, log: int, child: "subprocess.Popen[bytes]") -> int:
    """Copy what comes from `reader` into the log, until `child` has ended; returns its status."""
    os.set_blocking(reader, False)  # its only argument
    rest, data, ended = b"", b"-", False
    while data and not ended:
        ended = child.poll() is not None  # what it leaves behind may write on: that is not waited for
        select.select([reader], [], [], 0 if ended else POLL)
        with contextlib.suppress(BlockingIOError):
            data = os.read(reader, PIPE)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _write(log, child.pid, line)
            while len(rest) > LONGEST:
                _write(log, child.pid, rest[:LONGEST], b"+")
                rest = rest[LONGEST:]
    if rest:
        _write(log, child.pid, rest)
    return child.wait()


def _write(log: int, pid: int, text: bytes, mark: bytes = b"") -> None:
    """Write a line as supervisor.py does; a full disk costs lines, and does not stop the command."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    with contextlib.suppress(OSError):
        while len(text) > LONGEST:
            os.write(log, b"%s %d+ %s\n" % (now, pid, text[:LONGEST]))
            text = text[LONGEST:]
        os.write(log, b"%s %d%s %s\n" % (now, pid, mark, text))


def _forward(number: int, _frame: FrameType | None) -> None:
    """Signal the whole process group, us too: the command may be a shell with children."""
    if number not in _forwarded:
        _forwarded.add(number)
        os.killpg(0, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

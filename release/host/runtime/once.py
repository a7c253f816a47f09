"""Run a command once, below circusd: its output goes to a new log, its exit status to LOG.status.

circus starts a copy of this file in a release; it imports the standard library only.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

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
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
    for early in _forwarded.copy():  # there was nobody yet to get it
        os.killpg(0, early)
    status = child.wait()
    if os.pread(output, 1, max(0, os.fstat(output).st_size - 1)) not in {b"", b"\n"}:
        os.write(output, b"\n")  # who follows the log reads whole lines
    scratch = log.with_name(f".{log.name}.status")
    scratch.write_text(str(status if status >= 0 else 128 - status))
    scratch.replace(log.with_name(f"{log.name}.status"))
    os.killpg(0, signal.SIGKILL)


def _forward(number: int, _frame: FrameType | None) -> None:
    """Signal the whole process group, us too: the command may be a shell with children."""
    if number not in _forwarded:
        _forwarded.add(number)
        os.killpg(0, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

"""Run a shell line and pass signals on to all of its processes, so that none is orphaned."""

import os
import signal
import subprocess
import sys
from types import FrameType

_forwarded: set[int] = set()


def main(line: str) -> int:
    """Run `line` under /bin/sh. circus made us the leader of a process group of our own."""
    # With a trap, the shell waits for its command and ends then; without, it dies at once and its server is
    # cut off. A server that the shell execs compares LISTEN_PID with its own process id.
    listens = "; export LISTEN_PID=$$" if "LISTEN_FDS" in os.environ else ""
    prelude = f"trap 'exit 143' TERM INT HUP QUIT{listens}"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, _forward)
    shell = subprocess.Popen(["/bin/sh", "-c", f"{prelude}; {line}"], close_fds=False)
    for early in _forwarded.copy():  # there was nobody yet to get it
        os.killpg(0, early)
    status = shell.wait()
    return status if status >= 0 else 128 - status


def _forward(number: int, _frame: FrameType | None) -> None:
    """Signal the whole process group, us too: `sh -c "a; server"` alone leaves the server behind."""
    if number not in _forwarded:
        _forwarded.add(number)
        os.killpg(0, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

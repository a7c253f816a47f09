"""A pseudo-terminal, for commands that ask, and for editors."""

import contextlib
import os
import pty
import select
import time
from collections.abc import Iterator

TIMEOUT = 60.0


@contextlib.contextmanager
def open_terminal() -> Iterator[tuple[int, int]]:
    """Descriptors of a new pseudo-terminal: ours, and the one for the program."""
    controller, terminal = pty.openpty()
    try:
        yield controller, terminal
    finally:
        os.close(controller)
        os.close(terminal)


def read_until(controller: int, text: str) -> str:
    """What the program shows, up to the first piece that has `text`."""
    shown, deadline = "", time.monotonic() + TIMEOUT
    while text not in shown:
        left = deadline - time.monotonic()
        assert left > 0, f"no {text!r} in {shown!r}"
        if select.select([controller], [], [], left)[0]:
            shown += os.read(controller, 65536).decode(errors="replace")
    return shown

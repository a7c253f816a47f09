"""Stop the server in the background, or wherever it runs on this machine. Imports little: it is quick."""

import os
import signal
import time

from mirror import state
from mirror.state import Folder, Serving
from packhorse.errors import PackhorseError

SECONDS = 10.0


def stop(folder: Folder) -> Serving | None:
    """Stop the server that holds the lock, and wait until the lock is free; None when none runs."""
    now = state.read_serving(folder)
    if now is None:
        return None
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.kill(now.pid, number)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if not state.held(folder.lock):
                return now
            time.sleep(0.05)
    raise PackhorseError(
        f"The mirror (process {now.pid}) still holds {folder.lock} after a SIGKILL.",
        "Look at the process with `ps`; it may wait for a disk that does not answer.",
    )

"""devpi's listeners to commits, told of them when a burst is over: they are plugins, and clients wait.

For each file that a mirror caches, devpi reads the whole commit again, opens several transactions and
finds that there is nobody to tell: a quarter of the time that a first install takes.
"""

import time
from typing import Any

QUIET = 1.0  # seconds without a commit
LONGEST = 10.0  # seconds until they are told all the same


def be_patient(keyfs: Any, quiet: float = QUIET, longest: float = LONGEST) -> None:
    """Make the thread of `keyfs` that tells them wait."""
    notifier = keyfs.notifier
    tick = notifier.tick

    def patient_tick() -> None:
        deadline = time.monotonic() + longest
        serial = None
        while serial != (serial := keyfs.get_current_serial()) and time.monotonic() < deadline:
            notifier.thread.sleep(quiet)  # ends with the server
        tick()

    notifier.tick = patient_tick

"""devpi's listeners to commits: not told when there are none, and else when a burst of commits is over.

Listeners are plugins such as devpi-web. For each file that is uploaded or cached, devpi reads the whole
commit again, opens several transactions and finds out whether there is anybody to tell: with nobody, that
is three quarters of what an upload costs; with somebody, clients wait meanwhile.
"""

import time
from typing import Any

from devpi_server.model import EventSubscribers

QUIET = 0.3  # seconds without a commit
LONGEST = 10.0  # seconds until they are told all the same
# What EventSubscribers calls (devpi_server/model.py).
HOOKS = (
    "devpiserver_mirror_initialnames",
    "devpiserver_on_changed_versiondata",
    "devpiserver_on_remove_file",
    "devpiserver_on_upload",
    "devpiserver_stage_created",
)


def be_patient(xom: Any, quiet: float = QUIET, longest: float = LONGEST) -> None:
    """Make the thread that tells them wait, or only note that it has seen all commits."""
    notifier = xom.keyfs.notifier
    nobody = not has_listeners(xom)
    tick = notifier.tick

    def patient_tick() -> None:
        deadline = time.monotonic() + longest
        serial = None
        while serial != (serial := xom.keyfs.get_current_serial()) and time.monotonic() < deadline:
            notifier.thread.sleep(quiet)  # ends with the server
        if nobody:
            with notifier.cv_new_event_serial:
                notifier.write_event_serial(serial)
                notifier.cv_new_event_serial.notify_all()
        tick()

    notifier.tick = patient_tick


def has_listeners(xom: Any) -> bool:
    """Whether a plugin, or this being a replica, wants to know of commits."""
    subscribers = [each for group in xom.keyfs.notifier._on_key_change.values() for each in group]  # noqa: SLF001
    devpis_own = all(isinstance(getattr(each, "__self__", None), EventSubscribers) for each in subscribers)
    return not devpis_own or any(getattr(xom.config.hook, name).get_hookimpls() for name in HOOKS)

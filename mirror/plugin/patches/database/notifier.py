"""Tell devpi's listeners of commits when a burst of commits is over, and skip the work when there are none.

Listeners are plugins such as devpi-web. For each file that is uploaded or cached, devpi reads the whole
commit again, opens several transactions and finds out whether there is anybody to tell: with nobody, that
is three quarters of what an upload costs; with somebody, clients wait meanwhile.
"""

import time
from typing import Any

from devpi_server.model import EventSubscribers

QUIET = 0.3  # seconds without a commit
LONGEST = 10.0  # seconds until listeners are told although commits go on
# What EventSubscribers calls (devpi_server/model.py).
HOOKS = (
    "devpiserver_mirror_initialnames",
    "devpiserver_on_changed_versiondata",
    "devpiserver_on_remove_file",
    "devpiserver_on_upload",
    "devpiserver_stage_created",
)


def apply(xom: Any, quiet: float = QUIET, longest: float = LONGEST) -> None:
    """Make the notifier's thread wait for the end of a burst, or without listeners note what it has seen."""
    notifier = xom.keyfs.notifier

    def patient_tick() -> None:
        deadline = time.monotonic() + longest
        serial = None
        while serial != (serial := xom.keyfs.get_current_serial()) and time.monotonic() < deadline:
            notifier.thread.sleep(quiet)  # ends with the server
        # Plugins may add listeners until the thread starts.
        if not has_listeners(xom):
            with notifier.cv_new_event_serial:
                notifier.write_event_serial(serial)
                notifier.cv_new_event_serial.notify_all()
        type(notifier).tick(notifier)  # devpi's own, however often this was applied

    notifier.tick = patient_tick


def has_listeners(xom: Any) -> bool:
    """Whether a plugin listens to commits, or devpi itself does, as on a replica."""
    subscribers = [each for group in xom.keyfs.notifier._on_key_change.values() for each in group]  # noqa: SLF001
    devpis_own = all(isinstance(getattr(each, "__self__", None), EventSubscribers) for each in subscribers)
    return not devpis_own or any(getattr(xom.config.hook, name).get_hookimpls() for name in HOOKS)

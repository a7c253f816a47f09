"""Settings of [updates]: hosts install the distribution's security updates by themselves."""

from typing import Annotated

from packhorse import settings
from packhorse.settings import matching

TimeOfDay = Annotated[str, matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day, such as "04:30"')]


class Updates(settings.Settings):
    """Every day the hosts install what Debian's unattended-upgrades takes: security updates before all.

    `reboot_at` (the host's local time): the first host of release.toml reboots then if an update needs it, a
    new kernel; each other one, whatever it is for, ten minutes after the one before. None: never.
    """

    reboot_at: TimeOfDay | None = None

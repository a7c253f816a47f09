"""The servers of the company index: the table [mirror] of release.toml as a frozen object."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from packhorse import settings
from release.config.targets import AbsolutePath, HostName, UserName


def _plain_name(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f'"{text}" is not a path inside the project')
    return text


class MirrorServers(settings.Settings):
    """What `release provision mirror` makes: hosts that run the mirror of `settings`, a mirror.toml.

    `index_url` is what pip gets as --index-url to install Packhorse `version` there (None: ours); the first
    mirror of a company installs from somewhere else than itself. `user` and `python` are for Ansible. Backups
    go to the folder `backups` at the times of `backup_at` (systemd.time(7)), the last `keep_backups` stay.
    """

    hosts: Annotated[list[HostName], Field(min_length=1)]
    settings: Annotated[str, AfterValidator(_plain_name)] = "mirror.toml"
    index_url: Annotated[str, StringConstraints(pattern=r"^https?://[^/@\s]+(/\S*)?$")] | None = None
    version: Annotated[str, StringConstraints(pattern=r"^[0-9][\w.+!-]*$")] | None = None
    user: UserName | None = None
    python: AbsolutePath = "/usr/bin/python3"
    backups: AbsolutePath = "/var/backups/packhorse-mirror"
    backup_at: Annotated[str, StringConstraints(pattern=r"^[\w*:/,. ~-]+$")] = "daily"
    keep_backups: Annotated[int, Field(ge=1)] = 7

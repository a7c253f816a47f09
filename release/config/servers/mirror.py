"""Settings of [mirror]: the servers of the company index, which `release provision mirror` prepares."""

from typing import Annotated

from pydantic import AfterValidator, Field

from packhorse import settings
from packhorse.settings import AbsolutePath, Url
from release.config.value_types import (
    Calendar,
    HostName,
    LoginName,
    Memory,
    Version,
    inside_project,
)


class MirrorServers(settings.Settings):
    """The servers of the company index, which run the mirror of `settings`, a mirror.toml.

    Packhorse itself comes from the machine that provisions, which must have `version` (None: any); pip
    installs what it needs from `index_url`, by hash. The first mirror of a company installs from somewhere
    else than itself. `user` and `python` are for Ansible. The server may use `memory_max` of memory. Backups
    go to the folder `backups` at the times of `backup_at`, the last `keep_backups` stay. `mirror refresh`
    runs at the times of `refresh_at` (None: never).
    """

    hosts: Annotated[list[HostName], Field(min_length=1)]
    settings: Annotated[str, AfterValidator(inside_project)] = "mirror.toml"
    index_url: Url | None = None
    version: Version | None = None
    user: LoginName | None = None
    python: AbsolutePath = "/usr/bin/python3"
    memory_max: Memory = "75%"
    backups: AbsolutePath = "/var/backups/packhorse-mirror"
    backup_at: Calendar = "daily"
    keep_backups: Annotated[int, Field(ge=1)] = 7
    refresh_at: Calendar | None = None

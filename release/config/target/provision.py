"""Settings of [targets.NAME.provision]: how `release provision` prepares the hosts of a target."""

from typing import Annotated

from pydantic import Field

from packhorse import settings
from packhorse.settings import AbsolutePath
from release.config.value_types import (
    LoginName,
    LogSize,
    Memory,
    Percentage,
    PublicKey,
    Size,
    UrlPath,
)


class Provision(settings.Settings):
    """Settings for `release provision`: how it prepares the hosts of a target, and as which user.

    `user` (through sudo, unless it is root) and `python` are for Ansible; the folder `python_builds` of this
    machine has builds of the target's Python, for hosts without one; the `authorized_keys` may deploy;
    `memory_max`, `cpu_quota`, `tasks_max` and `open_files` limit all processes of the application together;
    it may write to the places `writable` besides its own; nginx serves the folders of `static` (path of the
    URL -> folder on the host) itself, and passes on requests of up to `max_body`. Its logs are kept for
    `log_days`, one part for each day; one that reaches `log_size` begins a new part, of which so many stay.
    """

    user: LoginName | None = None
    python: AbsolutePath = "/usr/bin/python3"
    python_builds: str | None = None
    authorized_keys: list[PublicKey] = Field(default=[])
    memory_max: Memory | None = None
    cpu_quota: Percentage | None = None
    tasks_max: Annotated[int, Field(gt=0)] = 4096
    open_files: Annotated[int, Field(gt=0)] = 65536
    writable: list[AbsolutePath] = Field(default=[])
    static: dict[UrlPath, AbsolutePath] = Field(default={})
    max_body: Size = "10m"
    log_days: Annotated[int, Field(ge=1, le=3650)] = 14
    log_size: LogSize = "100M"

"""Settings of [services.NAME]: databases that `release provision` installs, with a login for each target."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from packhorse import settings
from packhorse.settings import AbsolutePath, matching
from release.config.value_types import Calendar, HostName, LoginName

Kind = Literal["postgresql", "mariadb", "redis"]
VARIABLES: Mapping[Kind, str] = {
    "postgresql": "DATABASE_URL",
    "mariadb": "DATABASE_URL",
    "redis": "REDIS_URL",
}
"""Variable for the URL of a database of each kind, unless `attach` names another one."""
NO_NAMES = ("local", "mirror")  # what `release provision` has another meaning for
LONGEST_NAME = 60  # PostgreSQL cuts names at 63 bytes (NAMEDATALEN), and logins end in __a and __b
# PostgreSQL has major versions alone; of the others, series such as 10.11 get corrections.
_VERSIONS = {
    "postgresql": (r"1[0-9]|[2-9][0-9]", "15"),
    "mariadb": (r"1[0-9]\.[0-9]{1,2}", "10.11"),
    "redis": (r"[6-9]\.[0-9]{1,2}", "7.0"),
}


class BackupSettings(settings.Settings):
    """Times of backups of databases, how many are kept, and the other host that gets a copy of each."""

    at: Calendar = "daily"
    keep: Annotated[int, Field(ge=1, le=1000)] = 7
    copy_to: HostName | None = None


class Service(settings.Settings):
    """A database server of `kind` on `hosts`, from the distribution; targets that name it have a login there.

    `version`: the one that the hosts must have (None: what the distribution has). `user` (through sudo,
    unless it is root) and `python` are for Ansible and `release services`, on hosts that are in no target.
    """

    kind: Kind
    hosts: Annotated[list[HostName], Field(min_length=1, max_length=1)]
    version: Annotated[str, matching(r"[0-9.]+", 'a version, such as "15"', 10)] | None = None
    user: LoginName | None = None
    python: AbsolutePath = "/usr/bin/python3"
    backup: BackupSettings = BackupSettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        pattern, example = _VERSIONS[self.kind]
        if self.version and not re.fullmatch(pattern, self.version):
            raise ValueError(f'version: "{self.version}" is no version of {self.kind}, such as "{example}"')
        if self.backup.copy_to in self.hosts:
            raise ValueError(f"backup.copy_to: {self.backup.copy_to} has the database itself")
        return self


def database(app: str, target: str, service: str) -> str:
    """The name of a target's database: no part of it has a "_", so that no two targets share one."""
    return f"{app}_{target}_{service}"


def origin(app: str, service: str, host: str) -> str:
    """Folder of a host's copies of backups on another host; its key cannot leave it."""
    return f"{app}_{service}@{host}"


def check(app: str, services: Mapping[str, Service], used: Mapping[str, Sequence[str]]) -> None:
    """Look for what does not fit together; `used`: the services of each target. Raises ValueError."""
    for name in services:
        if name in NO_NAMES or name in used:
            what = "a target" if name in used else "something else"
            raise ValueError(f"services.{name}: {name} is {what}: give the service another name")
    for target, names in used.items():
        for name in names:
            if name not in services:
                known = ", ".join(services) or "none"
                raise ValueError(
                    f"targets.{target}.services: there is no [services.{name}]; declared: {known}"
                )
            if len(database(app, target, name)) > LONGEST_NAME:
                raise ValueError(
                    f"targets.{target}.services: {database(app, target, name)} is longer than {LONGEST_NAME} "
                    "characters, which no database can be called: shorten one of its three names"
                )

"""Where releases run: one target's table of release.toml as a frozen object."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from packhorse import settings
from release.config import unchecked

UNIX_SOCKET = "unix"
_BIND = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]/]+):(?P<port>[0-9]{1,5})")


def _known_bind(text: str) -> str:
    matched = _BIND.fullmatch(text)
    if text != UNIX_SOCKET and not (matched and int(matched["port"]) <= 65535):
        raise ValueError(f'"{text}" is neither "unix" nor HOST:PORT such as "127.0.0.1:8000"')
    return text


def _batch(value: object) -> object:
    if type(value) is int and value > 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"(100|[1-9][0-9]?)%", value):
        return value
    raise ValueError(f'{value!r} is neither a number of hosts such as 2 nor a part of them such as "25%"')


def _once(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there twice")
    return names


VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ProcessName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]  # as in a Procfile
Positive = Annotated[float, Field(gt=0)]
HostName = Annotated[str, StringConstraints(pattern=unchecked.HOST_NAME, max_length=253)]
Domain = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32)]  # useradd(8)
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[\w@%+=:,./~-]+$")]  # nginx reads it unquoted


PublicKey = Annotated[str, StringConstraints(pattern=r"^(ssh|ecdsa|sk)-[\w@.-]+ [\w+/=]+( [^\n]*)?$")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/([\w@%+=:,.~-]+/)*$")]
Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[kmgKMG]?$")]  # as nginx writes it
Share = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*([KMGT]|%)?$")]  # systemd.resource-control(5)


class Provision(settings.Settings):
    """How `release provision` prepares the hosts of a target, and as whom; nothing else reads it.

    `user` (through sudo, unless it is root) and `python` are for Ansible; the `authorized_keys` may deploy;
    `memory_max`, `cpu_quota`, `tasks_max` and `open_files` bound all processes of the application together;
    `writable` are places besides its own that they may write to; `static` maps paths of URLs to folders on
    the host that nginx serves itself; `max_body` is the largest request that it passes on.
    """

    user: UserName | None = None
    python: AbsolutePath = "/usr/bin/python3"
    authorized_keys: list[PublicKey] = Field(default=[])
    memory_max: Share | None = None
    cpu_quota: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*%$")] | None = None
    tasks_max: Annotated[int, Field(gt=0)] = 4096
    open_files: Annotated[int, Field(gt=0)] = 65536
    writable: list[AbsolutePath] = Field(default=[])
    static: dict[UrlPath, AbsolutePath] = Field(default={})
    max_body: Size = "10m"


class ProcessSettings(settings.Settings):
    """How processes of one type are replaced; `stop_timeout` in seconds, None: the target's graceful_timeout.

    With `overlap` the new one starts before the old one stops.
    """

    overlap: bool = False
    stop_timeout: Positive | None = None


class Target(settings.Settings):
    """Where a release runs and how: on `hosts`, through ssh as `user`, or without any on this machine.

    `bind` is HOST:PORT or "unix"; `env` holds no secrets; `batch` is how many hosts are switched at a time
    once the first one, the canary, is; `domains` and `tls_*` are for the nginx on the hosts.
    """

    hosts: Annotated[list[HostName], Field(min_length=1), AfterValidator(_once)] | None = None
    user: UserName | None = None
    domains: list[Domain] = Field(default=[])
    tls_certificate: AbsolutePath | None = None
    tls_certificate_key: AbsolutePath | None = None
    batch: Annotated[int | str, BeforeValidator(_batch)] = "25%"
    bind: Annotated[str, AfterValidator(_known_bind)] = UNIX_SOCKET
    installer: Literal["uv", "pip"] = "uv"
    graceful_timeout: Positive = 30.0
    keep: Annotated[int, Field(ge=1)] = 5
    env: dict[VariableName, str] = Field(default={})
    processes: dict[ProcessName, ProcessSettings] = Field(default={})
    provision: Provision = Provision()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hosts and self.bind != UNIX_SOCKET:
            raise ValueError("bind: on hosts, nginx listens and asks a socket: leave it out")
        if bool(self.tls_certificate) != bool(self.tls_certificate_key):
            raise ValueError("tls_certificate and tls_certificate_key belong together")
        return self

    @property
    def at_a_time(self) -> int:
        """How many hosts are switched at a time after the canary: a part is rounded down, to 1 at least."""
        if isinstance(self.batch, int):
            return self.batch
        return max(1, len(self.hosts or []) * int(self.batch.removesuffix("%")) // 100)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host (IPv6 without brackets) and port, None for the unix socket."""
        matched = _BIND.fullmatch(self.bind)
        return (matched["host"].strip("[]"), int(matched["port"])) if matched else None

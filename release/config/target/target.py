"""Settings of [targets.NAME]: a place to run releases."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from packhorse import settings
from packhorse.settings import AbsolutePath
from release.config.servers import certificates
from release.config.target import balancer
from release.config.target.balancer import BalancerSettings
from release.config.target.processes import JobSettings, ProcessSettings, unique_jobs
from release.config.target.provision import Provision
from release.config.value_types import (
    AppName,
    Command,
    Domain,
    HostName,
    IndexReference,
    Positive,
    ProcessName,
    PythonVersion,
    UserName,
    VariableName,
    inside_project,
    unique,
    without_nul,
)

UNIX_SOCKET = "unix"
_BIND = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9_.-]*):(?P<port>[0-9]{1,5})")


def _bind(text: str) -> str:
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


class Target(settings.Settings):
    """A place to run releases: `hosts` reached through ssh as `user`, or without any this machine.

    `run_user` runs the processes on hosts, and can change nothing that `user` has deployed.
    `index` is the one that its versions have to lie on, None: that of the project and what it inherits from.
    `python` is the version that runs a release, None: that of the project, else the one of Packhorse there.
    `bind` is HOST:PORT or "unix"; `env` holds no secrets, `secrets` is an encrypted file of the project, and
    `config_command` prints variables; `batch` is how many hosts are switched at a time once the first one,
    the canary, is; `domains` (None: the names of the hosts; []: no vhost), `tls_*`, `tls` ("acme": with
    certificates of [acme]) and `hsts` (max-age, RFC 6797) are for the nginx on the hosts, or on its
    `balancer`; of `services` it has a database each, see services.py.
    """

    hosts: Annotated[list[HostName], Field(min_length=1), AfterValidator(unique)] | None = None
    user: UserName | None = None
    run_user: UserName | None = None
    domains: Annotated[list[Domain], AfterValidator(unique)] | None = None
    tls_certificate: AbsolutePath | None = None
    tls_certificate_key: AbsolutePath | None = None
    tls: Literal["acme"] | None = None
    hsts: certificates.MaxAge | None = None
    batch: Annotated[int | str, BeforeValidator(_batch)] = "25%"
    bind: Annotated[str, AfterValidator(_bind)] = UNIX_SOCKET
    index: IndexReference | None = None
    python: PythonVersion | None = None
    installer: Literal["uv", "pip"] = "uv"
    graceful_timeout: Positive = 30.0
    keep: Annotated[int, Field(ge=1)] = 5
    env: dict[VariableName, Annotated[str, AfterValidator(without_nul)]] = Field(default={})
    config_command: Command | None = None
    secrets: Annotated[str, AfterValidator(inside_project)] | None = None
    processes: dict[ProcessName, ProcessSettings] = Field(default={})
    jobs: Annotated[list[JobSettings], AfterValidator(unique_jobs)] = Field(default=[])
    services: Annotated[list[AppName], AfterValidator(unique)] = Field(default=[])
    balancer: BalancerSettings | None = None
    provision: Provision = Provision()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hosts and self.bind != UNIX_SOCKET:
            raise ValueError("bind: on hosts, nginx listens and asks a socket: leave it out")
        if self.services and not self.hosts:
            raise ValueError("services: only named hosts are let in: set the URL with `release config` here")
        if bool(self.tls_certificate) != bool(self.tls_certificate_key):
            raise ValueError("tls_certificate and tls_certificate_key belong together")
        balancer.check(self.balancer, self.hosts, self.domains)
        if self.tls:
            certificates.check_domains(self.domains)
        if self.hsts and not (self.tls or self.tls_certificate):
            raise ValueError('hsts is for a target with TLS: tls = "acme", or tls_certificate')
        web = self.processes.get("web", ProcessSettings())
        if {"check_uptime", "check_command", "check_timeout"} & web.model_fields_set:
            raise ValueError("processes.web: web is asked over HTTP, see [health]: leave out its check")
        return self

    @property
    def batch_size(self) -> int:
        """Number of hosts to switch at a time after the canary; a percentage is rounded down, at least 1."""
        if isinstance(self.batch, int):
            return self.batch
        return max(1, len(self.hosts or []) * int(self.batch.removesuffix("%")) // 100)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host (IPv6 without brackets) and port, None for the unix socket."""
        matched = _BIND.fullmatch(self.bind)
        return (matched["host"].strip("[]"), int(matched["port"])) if matched else None

    def stop_timeout(self, process: ProcessSettings) -> float:
        """Seconds that processes of a type get to finish what they work on."""
        return process.stop_timeout or self.graceful_timeout


LOCAL = Target(bind="127.0.0.1:8000")

"""Read and check release.toml (or [tool.release] of pyproject.toml): frozen settings of all commands."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from packhorse import settings
from packhorse.errors import PackhorseError
from packhorse.settings import AbsolutePath, Url, matching
from release.config import assets as bucket
from release.config import static as static_files
from release.config import unchecked
from release.config.assets import Assets
from release.config.servers import certificates, monitoring, services
from release.config.servers.firewall import Firewall
from release.config.servers.monitoring import Monitoring
from release.config.servers.services import Service
from release.config.servers.updates import Updates
from release.config.static import Static
from release.config.target import balancer, host_argument
from release.config.target.balancer import Balancer
from release.config.unchecked import ProjectFiles
from release.config.value_types import (
    AppName,
    Calendar,
    Command,
    Domain,
    HostAddresses,
    HostHeader,
    HostName,
    IndexReference,
    IndexUrl,
    LoginName,
    LogSize,
    Memory,
    Percentage,
    Positive,
    ProbePath,
    ProcessName,
    ProjectName,
    PublicKey,
    PythonVersion,
    Size,
    UrlPath,
    UserName,
    VariableName,
    Version,
    index_reference,
    inside_project,
    unique,
    without_nul,
)
from release.host.disk.manifest import JOB_NAME, NO_JOB_NAMES
from release.host.formats import schedule

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


def _pattern(text: str) -> str:
    parts = text.removesuffix("/").split("/")
    if not text.isprintable() or "\\" in text or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f'"{text}" is no file, folder or pattern inside the project, such as "manage.py" or "sql/*.sql"'
        )
    return text


def _schedule(text: str) -> str:
    try:
        schedule.calendars(text)
    except PackhorseError as error:
        raise ValueError(f"{error.message} {error.hint}") from None
    return text


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("is no command of one line")
    return text


class Health(settings.Settings):
    """The probe of a new release: GET `path` must answer 2xx before it receives traffic. Seconds.

    Without a `path` it is /healthz; where the application has none, /, which may also be a redirect.
    """

    path: ProbePath | None = None
    host: HostHeader = "localhost"
    timeout: Positive = 30.0
    interval: Positive = 0.1


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


class ProcessSettings(settings.Settings):
    """Settings of one process type; `stop_timeout` in seconds, None: the target's graceful_timeout.

    With `overlap` the new one starts before the old one stops. A deploy waits until all have run for
    `check_uptime` seconds, and until `check_command` ends with 0, which is tried for `check_timeout` seconds.
    """

    overlap: bool = False
    stop_timeout: Positive | None = None
    check_uptime: Positive = 1.0
    check_command: Command | None = None
    check_timeout: Positive = 30.0


def _job_name(name: str) -> str:
    if name in NO_JOB_NAMES:
        raise ValueError(f"{name} is the name of another log: give the job another one")
    return name


class JobSettings(settings.Settings):
    """A job: `command` (as in a Procfile) runs at the times of `schedule`, for at most `timeout` seconds.

    `overlap = "forbid"`: not while it still runs.
    """

    name: Annotated[
        str,
        matching(JOB_NAME, 'the name of a job of letters, digits, "-" and "_", such as "cleanup"'),
        AfterValidator(_job_name),
    ]
    schedule: Annotated[str, AfterValidator(_schedule)]
    command: Annotated[str, AfterValidator(_line)]
    overlap: Literal["forbid", "allow"] = "forbid"
    timeout: Positive | None = None


def _unique_jobs(jobs: list[JobSettings]) -> list[JobSettings]:
    unique([job.name for job in jobs])
    return jobs


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
    jobs: Annotated[list[JobSettings], AfterValidator(_unique_jobs)] = Field(default=[])
    services: Annotated[list[AppName], AfterValidator(unique)] = Field(default=[])
    balancer: Balancer | None = None
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


class ExternalConfig(settings.Settings):
    """Variables of all targets from a `command`, which prints them as JSON or lines NAME=VALUE."""

    command: Command | None = None


def _webhook_url(text: str) -> str:
    # The text stays out of the message: addresses of webhooks are secrets at times.
    if not re.fullmatch(r"https?://[A-Za-z0-9_.:\[\]-]+(/[!-~]*)?", text) or "#" in text:
        raise ValueError('needs an address without a user, such as "https://chat.example.com/hooks/release"')
    return text


class Webhook(settings.Settings):
    """A server that gets what became of each change, as JSON that is signed with a secret.

    The secret is in the variable `secret_variable`, or in the file `secret_file`, as seen from the project.
    `timeout` is in seconds, for each of up to three tries.
    """

    url: Annotated[str, AfterValidator(_webhook_url)]
    secret_variable: VariableName | None = None
    secret_file: str | None = None
    timeout: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if bool(self.secret_variable) == bool(self.secret_file):
            raise ValueError("name the place of its secret: either secret_variable or secret_file")
        return self


class Hooks(settings.Settings):
    """Commands that run where somebody deploys, and a `webhook`: around each deploy and rollback.

    One that fails in `before_deploy` stops the deploy. Each may take `timeout` seconds.
    """

    before_deploy: Command | None = None
    after_deploy: Command | None = None
    on_failure: Command | None = None
    timeout: Positive = 300.0
    webhook: Webhook | None = None


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


def _local_without_hosts(targets: dict[str, Target]) -> dict[str, Target]:
    if "local" in targets and targets["local"].hosts:
        raise ValueError("local is this machine: give the target with hosts another name")
    if "upstream" in targets and targets["upstream"].balancer:  # nginx has APP.upstream.conf for its sockets
        raise ValueError("upstream: a target with a balancer cannot have this name: give it another one")
    return targets


LOCAL = Target(bind="127.0.0.1:8000")


class ReleaseConfig(settings.Settings):
    """Everything that a project says about its releases; all of it is optional in the file.

    `index_is_private`: an index that does not say where its files come from shows the company's own only.
    `python`: that of targets that name none, by default what .python-version or runtime.txt says. `sdists`:
    dependencies that `release build` builds from source, once, with `build_requires` besides what they name
    themselves. `files`: files, folders and patterns of the project for the working directory of every
    process. `build_environment`: variables that build backends get besides the usual ones. With
    `require_signature`, hosts install only what one of `signers` has signed; nothing is deployed
    without the variables that are `required`. `addresses`: at which addresses hosts see each other, where ssh
    and DNS do not say so.
    """

    app: AppName
    index: IndexUrl | None = None
    index_is_private: bool = False
    python: PythonVersion | None = None
    sdists: list[ProjectName] = Field(default=[])
    build_requires: list[str] = Field(default=[])
    files: list[Annotated[str, AfterValidator(_pattern)]] = Field(default=[])
    build_environment: list[VariableName] = Field(default=[])
    require_signature: bool = False
    signers: list[PublicKey] = Field(default=[])
    allow_http: bool = False  # an index by plain HTTP over a network
    required: list[VariableName] = Field(default=[])
    config: ExternalConfig = ExternalConfig()
    health: Health = Health()
    hooks: Hooks = Hooks()
    targets: Annotated[dict[AppName, Target], AfterValidator(_local_without_hosts)] = Field(default={})
    mirror: MirrorServers | None = None
    services: dict[AppName, Service] = Field(default={})
    addresses: dict[HostName, HostAddresses] = Field(default={})
    firewall: Firewall | None = None
    updates: Updates | None = None
    acme: certificates.Acme | None = None
    monitoring: Monitoring | None = None
    static: Static | None = None
    assets: Assets | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.require_signature and not self.signers:
            raise ValueError("require_signature: signers has no key, so that nothing could be deployed")
        services.check(
            self.app, self.services, {name: target.services for name, target in self.targets.items()}
        )
        if self.acme is None and any(target.tls for target in self.targets.values()):
            raise ValueError('tls = "acme" needs an authority: [acme] directory, contact and terms_agreed')
        hosted = self.with_hosts
        bucket.check(
            self.assets,
            has_static=self.static is not None,
            declared=list(self.targets),
            allow_http=self.allow_http,
        )
        static_files.check(
            self.static, [(name, target.provision.static) for name, target in self.targets.items()]
        )
        monitoring.check(self.monitoring, [*hosted, *self.services, *(["mirror"] if self.mirror else [])])
        return self

    @property
    def with_hosts(self) -> list[str]:
        """The declared targets with hosts."""
        return [name for name, target in self.targets.items() if target.hosts]

    def pushed_to(self, target: str) -> Assets | None:
        """The bucket that deploys to `target` push to, if there is one."""
        return self.assets if self.assets and self.assets.covers(target, self.with_hosts) else None

    @property
    def required_signers(self) -> list[str]:
        """Keys of which one has to have signed an artifact; none: it need not be signed."""
        return list(self.signers) if self.require_signature else []

    @model_validator(mode="after")
    def _uses_tls(self) -> Self:
        indexes = [self.index, self.mirror.index_url if self.mirror else None]
        indexes += [target.index for target in self.targets.values()]
        if not self.allow_http and any(settings.is_cleartext(url) for url in indexes if url):
            raise ValueError(
                "an index by http:// sends passwords and packages in clear text: use https://, or set "
                "allow_http = true, with which who is on the way can read and change them"
            )
        if not self.allow_http and self.hooks.webhook and settings.is_cleartext(self.hooks.webhook.url):
            raise ValueError(
                "hooks.webhook.url: by http:// others can read it: https://, or allow_http = true"
            )
        return self

    def target(self, name: str) -> Target:
        """The target `name`, or a target with the host `name` alone (see host_argument.py) and all defaults.

        `local`, and the address it listens on, need no declaration. Raises PackhorseError.
        """
        if name == "local":
            declared = self.targets.get(name, Target())
            return LOCAL.model_copy(update={key: getattr(declared, key) for key in declared.model_fields_set})
        if name in self.targets:
            return self.targets[name]
        there = host_argument.find(name, {key: target.hosts or [] for key, target in self.targets.items()})
        return Target(hosts=[there.host], provision=Provision(user=there.user))


def load(project: Path, *, index: str | None = None) -> ReleaseConfig:
    """The settings of the project in folder `project`; see `check`."""
    return check(unchecked.read(project), index)


def check(found: ProjectFiles, index: str | None = None) -> ReleaseConfig:
    """The settings in files that were read; `index` (the option or $RELEASE_INDEX) goes first.

    Raises PackhorseError.
    """
    tables: dict[str, Any] = {**found.defaults, **found.tables, **({"index": index} if index else {})}
    return settings.parse(ReleaseConfig, tables, found.where)


def index_url(config: ReleaseConfig, home: Path) -> str:
    """The company index, without a slash at its end: the configured one, else the local mirror's.

    Raises PackhorseError when neither is known.
    """
    if config.index:
        return config.index
    mirror = home / "mirror" / "credentials.json"
    try:
        return f"{json.loads(mirror.read_bytes())['url']}/company/dev"
    except FileNotFoundError:
        raise PackhorseError(
            "No company index is configured, and this machine runs no mirror of its own.",
            'Write index = "https://…/company/dev" into release.toml, or run: mirror init',
        ) from None


def resolve(reference: str, index: str) -> str:
    """The URL of the index that `reference` names: a URL, or USER/INDEX on the server of the URL `index`.

    Raises PackhorseError for what is neither, and when `index` has no USER/INDEX itself.
    """
    try:
        named = index_reference(reference)
    except ValueError as error:
        raise PackhorseError(f"{error}.", "Name it as devpi does: --to company/prod") from None
    if "://" in named:
        return named
    found = re.fullmatch(r"(https?://.+)/[^/]+/[^/]+", index)
    if not found:
        raise PackhorseError(
            f"{named} is on no server: {index} does not end in USER/INDEX, as an index of devpi does.",
            f"Write its whole address instead of {named}.",
        )
    return f"{found[1]}/{named}"


def target_index(config: ReleaseConfig, target: Target, home: Path) -> str:
    """The index of the company that `target` takes its versions from: its own, else the project's.

    Raises PackhorseError when there is none.
    """
    if target.index and "://" in target.index:
        return target.index
    project = index_url(config, home)
    return resolve(target.index, project) if target.index else project


def simple_url(index: str) -> str:
    """The address of `index` that pip and uv install from (PEP 503), with the slash that they expect."""
    return f"{index}/+simple/"

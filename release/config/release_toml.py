"""Read and check release.toml (or [tool.release] of pyproject.toml): frozen settings of all commands."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from packhorse import settings
from release.config import assets as bucket
from release.config import static as static_files
from release.config import unchecked
from release.config.assets import Assets
from release.config.hooks import Hooks
from release.config.servers import certificates, monitoring, services
from release.config.servers.firewall import Firewall
from release.config.servers.mirror import MirrorServers
from release.config.servers.monitoring import Monitoring
from release.config.servers.services import Service
from release.config.servers.updates import Updates
from release.config.static import Static
from release.config.target import host_argument
from release.config.target.provision import Provision
from release.config.target.target import LOCAL, Target
from release.config.unchecked import ProjectFiles
from release.config.value_types import (
    AppName,
    Command,
    HostAddresses,
    HostHeader,
    HostName,
    IndexUrl,
    Positive,
    ProbePath,
    ProjectName,
    PublicKey,
    PythonVersion,
    VariableName,
)


def _pattern(text: str) -> str:
    parts = text.removesuffix("/").split("/")
    if not text.isprintable() or "\\" in text or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f'"{text}" is no file, folder or pattern inside the project, such as "manage.py" or "sql/*.sql"'
        )
    return text


class Health(settings.Settings):
    """The probe of a new release: GET `path` must answer 2xx before it receives traffic. Seconds.

    Without a `path` it is /healthz; where the application has none, /, which may also be a redirect.
    """

    path: ProbePath | None = None
    host: HostHeader = "localhost"
    timeout: Positive = 30.0
    interval: Positive = 0.1


class ExternalConfig(settings.Settings):
    """Variables of all targets from a `command`, which prints them as JSON or lines NAME=VALUE."""

    command: Command | None = None


def _local_without_hosts(targets: dict[str, Target]) -> dict[str, Target]:
    if "local" in targets and targets["local"].hosts:
        raise ValueError("local is this machine: give the target with hosts another name")
    if "upstream" in targets and targets["upstream"].balancer:  # nginx has APP.upstream.conf for its sockets
        raise ValueError("upstream: a target with a balancer cannot have this name: give it another one")
    return targets


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

"""Compare the databases that release.toml declares with those that hosts have."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.config.servers import services
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult
from release.services import answers, reach

CLOCKS_APART = 300
"""Seconds that the clock of a host may be ahead."""


@dataclass(frozen=True)
class Place:
    """The database of a `target` on a `service`, and the host of release.toml that has it."""

    name: str
    service: str
    target: str
    kind: services.Kind
    host: str

    @property
    def origin(self) -> str:
        """Folder of the copies of its backups on another host."""
        return services.origin(self.name.partition("_")[0], self.service, self.host)


@dataclass(frozen=True)
class Found:
    """A database of a host: what its server says, and its backups."""

    host: str
    server: answers.DatabaseState
    backups: answers.Database | None


@dataclass(frozen=True)
class KnownDatabase:
    """A declared database, one that a host has, or both; `failure`: its host was not reached."""

    place: Place | None
    found: Found | None
    failure: PackhorseError | None = None

    @property
    def name(self) -> str:
        """The database."""
        return self.place.name if self.place else self.found.server.name if self.found else ""

    @property
    def host(self) -> str:
        """The host that has it, or will have it."""
        return self.place.host if self.place else self.found.host if self.found else ""


def declared(config: ReleaseConfig) -> list[Place]:
    """Databases of release.toml, in its order: of each service, those of the targets that use it."""
    return [
        Place(services.database(config.app, target, name), name, target, service.kind, service.hosts[0])
        for name, service in config.services.items()
        for target, settings in config.targets.items()
        if name in settings.services
    ]


def place(config: ReleaseConfig, service: str, target: str) -> Place:
    """The database of `target` on `service`. Raises PackhorseError when release.toml has none."""
    require(config, service)
    for each in declared(config):
        if (each.service, each.target) == (service, target):
            return each
    if target not in config.targets:
        raise PackhorseError(
            f"There is no target {target}.", f"Targets: {', '.join(config.targets) or 'none'}"
        )
    raise PackhorseError(f"{target} does not use {service}.", use(config, service, [target]))


def use(config: ReleaseConfig, service: str, targets: Sequence[str]) -> str:
    """Say what to write into release.toml, for the first of `targets` or another one to use `service`."""
    first, *others = targets or ["NAME"]
    names = [*(config.targets[first].services if first in config.targets else []), service]
    instead = f" (or of {', '.join(others)})" if others else ""
    return (
        f"Write services = {json.dumps(names)} below [targets.{first}]{instead}, "
        f"and: release provision {first}"
    )


def unused(config: ReleaseConfig) -> Iterator[PackhorseError]:
    """Errors for services that no target uses."""
    for service in config.services:
        if not any(service in target.services for target in config.targets.values()):
            yield PackhorseError(f"No target uses {service}.", use(config, service, list(config.targets)))


def places(config: ReleaseConfig, service: str, target: str | None) -> list[Place]:
    """The database of `target` on `service`, None: those of all targets. Raises PackhorseError."""
    if target is not None:
        return [place(config, service, target)]
    require(config, service)
    found = [each for each in declared(config) if each.service == service]
    if not found:
        raise PackhorseError(f"No target uses {service}.", use(config, service, list(config.targets)))
    return found


def require(config: ReleaseConfig, service: str) -> None:
    """Raise PackhorseError unless release.toml has `service`."""
    if service not in config.services:
        known = ", ".join(config.services) or "none"
        raise PackhorseError(
            f"There is no service {service}; release.toml has: {known}.",
            f"Declare it: [services.{service}], as docs/services.md shows.",
        )


def hosts(config: ReleaseConfig, more: Iterable[str] = ()) -> list[str]:
    """Hosts that may have databases: of services, of targets (a service may have moved), and `more`."""
    named = [host for service in config.services.values() for host in service.hosts]
    named += [host for target in config.targets.values() for host in target.hosts or []]
    return list(dict.fromkeys([*named, *more]))


def ask(config: ReleaseConfig, names: Sequence[str]) -> dict[str, list[Found] | PackhorseError]:
    """Host -> its databases of this application, or why it says nothing; all hosts at the same time."""

    def one(name: str) -> list[Found] | PackhorseError:
        host = reach.host(config, name)
        try:
            servers = answers.read(answers.Servers, host.ask(reach.SERVICE, "list"), name)
            request = {"app": config.app}
            backups = answers.read(answers.Databases, host.ask(reach.BACKUP, "list", request), name)
        except reach.NotProvisionedError:
            return []
        except PackhorseError as error:
            return error
        known = {each.name: each for each in backups.databases}
        own = [each for each in servers.services if each.app == config.app]
        return [Found(name, each, known.get(each.name)) for each in own]

    with ThreadPoolExecutor(16) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def rows(config: ReleaseConfig, found: Mapping[str, list[Found] | PackhorseError]) -> list[KnownDatabase]:
    """Declared databases first, then those that hosts have besides."""
    there = {
        (each.host, each.server.name): each
        for some in found.values()
        if isinstance(some, list)
        for each in some
    }
    result = []
    for each in declared(config):
        failure = found.get(each.host)
        error = failure if isinstance(failure, PackhorseError) else None
        result.append(KnownDatabase(each, there.pop((each.host, each.name), None), error))
    return [*result, *(KnownDatabase(None, each) for each in there.values())]


def plan(some: Iterable[KnownDatabase]) -> Iterator[str]:
    """Plan as sentences: databases that `release provision` would make, and those that are left over."""
    for row in some:
        if row.place and row.failure:
            yield f"{row.host}: {row.name}: unknown: {row.failure.message}"
        elif row.place and not row.found:
            yield (
                f"{row.host}: {row.name} ({row.place.kind}) would be made: "
                f"release provision {row.place.target}"
            )
        elif row.found and not row.place:
            server = row.found.server
            remove = f"release services remove {server.service} {server.target} --host {row.host}"
            yield (
                f"{row.host}: {row.name} ({server.kind}) is not in release.toml, and kept. To remove it, "
                f"with a backup before: {remove}"
            )


def last(backups: answers.Database | None, now: float) -> answers.Backup | None:
    """The newest backup of what the database was: not of what was about to be removed, nor of the future."""
    known = backups.backups if backups else []
    ordinary = [each for each in known if each.why != answers.REMOVAL and age(each.name, now) > -CLOCKS_APART]
    return ordinary[-1] if ordinary else None


def is_overdue(backups: answers.Database | None, now: float) -> bool:
    """Whether the timer should have made another backup by now."""
    return bool(backups and backups.overdue and now > backups.overdue)


def age(name: str, now: float) -> float:
    """Seconds since the backup `name` was made, which has the time in its name."""
    made = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return now - made.timestamp()


def ago(seconds: float) -> str:
    """A time that is past, roughly."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now" if seconds < 60 else "1 min ago"


def checks(some: Sequence[KnownDatabase], now: float) -> Iterator[CheckResult]:
    """Findings of `release doctor` about the databases of a target."""
    for row in some:
        name = f"service {row.place.service}" if row.place else "service"
        if row.failure:
            yield CheckResult(name, WARNING, row.failure.message, row.failure.hint)
        elif not row.found:
            hint = f"release provision {row.place.target}" if row.place else "release provision"
            yield CheckResult(name, FAILED, f"{row.name} is not on {row.host}", hint)
        elif row.found.server.error:
            yield CheckResult(name, FAILED, row.found.server.error, f"Look at the server on {row.host}.")
        else:
            yield _of_backups(name, row, now)


def _of_backups(name: str, row: KnownDatabase, now: float) -> CheckResult:
    found = row.found.backups if row.found else None
    newest = last(found, now)
    service, target = (row.place.service, row.place.target) if row.place else ("", "")
    command = f"release services backup {service} {target}"
    if found and not found.last.ok:
        return CheckResult(name, FAILED, f"the last backup of {row.name} failed: {found.last.error}", command)
    if found and found.interrupted:
        finish = f"release services restore {service} {target}"
        return CheckResult(name, FAILED, f"a restore of {row.name} was interrupted", finish)
    if found is None or newest is None:
        return CheckResult(name, WARNING, f"{row.name} has no backup yet", command)
    passed = age(newest.name, now)
    if is_overdue(found, now):
        late = (
            f"the last backup of {row.name} is from {ago(passed)}; its timer ({found.at}) has made none since"
        )
        return CheckResult(name, FAILED, late, command)
    return CheckResult(name, OK, f"{row.name} answers, the last backup is from {ago(passed)}")

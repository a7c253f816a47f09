"""List what a host lets in for this project: ssh, HTTP, the mirror, services, declared ports."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packhorse import toml
from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.config.servers.firewall import Allow, Firewall
from release.config.target.target import Target
from release.provision import addresses, monitoring

HTTP_PORTS = ("80", "443")
# Each target has a server of Redis of its own, from this port on.
SERVICE_PORTS = {"postgresql": "5432", "mariadb": "3306", "redis": "6379-6878"}


def of(
    config: ReleaseConfig, project: Path, host: str, targets: Mapping[str, Target]
) -> dict[str, Any] | None:
    """Rules of `host` as packhorse-firewall takes them (ansible/roles/firewall); None: no firewall of ours.

    `targets`: those of release.toml, and the one with a host that was named instead.
    Raises PackhorseError for names in [firewall] that are none of release.toml's.
    """
    firewall = config.firewall
    if firewall is None or host in firewall.skip:
        return None
    _check_names(config, firewall, targets)
    allow = [
        *_http(config, targets, host),
        *_mirror(config, project, host),
        *_services(config, host),
        *_monitoring(config, targets, host),
        *(_declared(rule) for rule in firewall.allow if _concerns(rule, host, targets)),
    ]
    ssh_from = [*firewall.ssh_from, *_copies(config, host)] if firewall.ssh_from else []
    return {"ssh_from": list(dict.fromkeys(ssh_from)), "allow": allow}


def rule(port: str, why: str, sources: Sequence[str] = (), protocol: str = "tcp") -> dict[str, Any]:
    """A port (or a range) that is open to the networks `sources`, without any to everybody."""
    return {"protocol": protocol, "port": port, "from": list(sources), "why": why}


def _http(config: ReleaseConfig, targets: Mapping[str, Target], host: str) -> Iterator[dict[str, Any]]:
    """The ports of nginx, unless no vhost is wanted; behind a balancer they are open to that alone."""
    for target in targets.values():
        front = target.balancer.hosts if target.balancer else []
        if host in front:
            yield from (rule(port, f"balancer of {config.app}") for port in HTTP_PORTS)
        if host in (target.hosts or []) and target.domains != []:
            sources = [address for each in front for address in addresses.of(config, each)]
            yield from (rule(port, f"HTTP of {config.app}", sources) for port in HTTP_PORTS)


def _mirror(config: ReleaseConfig, project: Path, host: str) -> Iterator[dict[str, Any]]:
    """The port at which nginx in front of the mirror listens."""
    if config.mirror is None or host not in config.mirror.hosts:
        return
    listen = str(toml.read(project / config.mirror.settings).get("front", {}).get("listen", "80"))
    port = listen.rpartition(":")[2]
    if port.isdecimal():  # not unix:/run/…
        yield rule(port, "company index")


def _services(config: ReleaseConfig, host: str) -> Iterator[dict[str, Any]]:
    """The ports of databases, for the hosts of the targets that use them; what is on the host needs none."""
    for name, service in config.services.items():
        if host not in service.hosts:
            continue
        users = [target for target in config.targets.values() if name in target.services]
        clients = dict.fromkeys(client for target in users for client in target.hosts or [])
        sources = [
            address for client in clients if client != host for address in addresses.of(config, client)
        ]
        if sources:
            yield rule(SERVICE_PORTS[service.kind], f"{service.kind} {name}", sources)


def _copies(config: ReleaseConfig, host: str) -> Iterator[str]:
    """The addresses of the hosts that send copies of their backups to `host`, through ssh."""
    for service in config.services.values():
        if service.backup.copy_to == host:
            for name in service.hosts:
                yield from addresses.of(config, name)


def _monitoring(config: ReleaseConfig, targets: Mapping[str, Target], host: str) -> Iterator[dict[str, Any]]:
    """The port of what measures the host, for those who may ask."""
    if config.monitoring and config.monitoring.sources and monitoring.of(config, host, targets):
        yield rule(str(config.monitoring.port), "monitoring", config.monitoring.sources)


def _declared(declared: Allow) -> dict[str, Any]:
    return rule(declared.port, declared.why, declared.sources, declared.protocol)


def _concerns(declared: Allow, host: str, targets: Mapping[str, Target]) -> bool:
    if not declared.hosts and not declared.targets:
        return True
    hosts = [name for target in declared.targets for name in targets[target].hosts or []]
    return host in [*declared.hosts, *hosts]


def _check_names(config: ReleaseConfig, firewall: Firewall, targets: Mapping[str, Target]) -> None:
    """Raise PackhorseError for hosts and targets that are not there: a rule would be nowhere."""
    hosts = {name for target in targets.values() for name in target.hosts or []}
    hosts |= {name for service in config.services.values() for name in service.hosts}
    hosts |= {name for target in targets.values() if target.balancer for name in target.balancer.hosts}
    hosts |= set(config.mirror.hosts if config.mirror else [])
    named = [("skip", name, hosts) for name in firewall.skip]
    for position, each in enumerate(firewall.allow):
        named += [(f"allow.{position}.hosts", name, hosts) for name in each.hosts]
        named += [(f"allow.{position}.targets", name, set(targets)) for name in each.targets]
    for key, name, known in named:
        if name not in known:
            raise PackhorseError(
                f"release.toml: firewall.{key}: there is no {name}.",
                f"Name one of {', '.join(sorted(known)) or 'those that are declared'}.",
            )

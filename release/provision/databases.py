"""Make the requests of `packhorse-service apply` out of release.toml: one for each target's database."""

import re
from typing import Any

from release.config.release_toml import ReleaseConfig
from release.config.servers import services
from release.provision import addresses, firewall

LOOPBACK = "127.0.0.1"


def of(config: ReleaseConfig, service: str, wanted: str | None) -> list[dict[str, Any]]:
    """Variables of the role for `service`, if `wanted` (a target or service, None: all) needs it."""
    names = [name for name, target in config.targets.items() if service in target.services]
    needed = [name for name in names if wanted in (None, service, name)]
    if not needed and wanted not in (None, service):
        return []
    declared = config.services[service]
    return [
        {
            "name": service,
            "kind": declared.kind,
            "version": declared.version,
            "databases": [request(config, target, service) for target in needed],
            "copies": _copies(config, service) if needed else {},
        }
    ]


def request(config: ReleaseConfig, target: str, service: str) -> dict[str, Any]:
    """The settings of the database that `target` has of `service`; see docs/architecture.md.

    Its server listens to the network only if a host of the target is another one than its own; `ports`: where
    the firewall lets them in.
    Raises PackhorseError where the address of a host is not known.
    """
    declared, (host,) = config.services[service], config.services[service].hosts
    hosts = config.target(target).hosts or []
    shared = any(each != host for each in hosts)
    listen = addresses.of(config, host) if shared else []
    walled = shared and config.firewall is not None and host not in config.firewall.skip
    return {
        "name": services.database(config.app, target, service),
        "kind": declared.kind,
        "version": declared.version,
        "clients": [each for name in hosts for each in addresses.of(config, name)] if shared else [LOOPBACK],
        "listen": listen,
        "host": listen[0] if listen else LOOPBACK,
        "ports": firewall.SERVICE_PORTS[declared.kind] if walled else None,
        "backup": _backup(config, service),
    }


def _backup(config: ReleaseConfig, service: str) -> dict[str, Any]:
    """Settings of backups: times, number, and the address of the host that gets copies."""
    backup = config.services[service].backup
    copy_to = {"copy_address": addresses.of(config, backup.copy_to)[0]} if backup.copy_to else {}
    return {**backup.model_dump(), **copy_to}


def _copies(config: ReleaseConfig, name: str) -> dict[str, Any]:
    """Settings of copies of backups: to which host, from whom, by which key; {}: none.

    `former`: regular expression for lines of authorized_keys there, of origins that release.toml has no more.
    """
    service = config.services[name]
    if not service.backup.copy_to:
        return {}
    brought = [
        f"{re.escape(each)}@{re.escape(other.hosts[0])}"
        for each, other in config.services.items()
        if other.backup.copy_to == service.backup.copy_to
    ]
    return {
        "to": service.backup.copy_to,
        "key": f"{config.app}_{name}",
        "origin": services.origin(config.app, name, service.hosts[0]),
        "former": rf" # {re.escape(config.app)}_(?!({'|'.join(brought)})$)[a-z0-9-]+@[^ ]+$",
        "keep": service.backup.keep,
    }

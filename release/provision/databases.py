"""What `packhorse-service apply` gets on the hosts of [services]: one request for each target's database."""

from typing import Any

from release.config import services
from release.config.release_toml import ReleaseConfig
from release.provision import addresses

LOOPBACK = "127.0.0.1"


def request(config: ReleaseConfig, target: str, service: str) -> dict[str, Any]:
    """The settings of the database that `target` has of `service`; see docs/architecture.md.

    Its server listens to the network only if a host of the target is another one than its own.
    Raises PackhorseError where the address of a host is not known.
    """
    declared, (host,) = config.services[service], config.services[service].hosts
    hosts = config.target(target).hosts or []
    shared = any(each != host for each in hosts)
    listen = addresses.of(config, host) if shared else []
    return {
        "name": services.database(config.app, target, service),
        "kind": declared.kind,
        "version": declared.version,
        "clients": [each for name in hosts for each in addresses.of(config, name)] if shared else [LOOPBACK],
        "listen": listen,
        "host": listen[0] if listen else LOOPBACK,
        "backup": declared.backup.model_dump(),
    }

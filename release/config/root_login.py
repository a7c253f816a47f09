"""Choose the user that logs in to a host to be root there: for Ansible, and for programs that it installs."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from release.config.release_toml import ReleaseConfig
from release.config.servers.mirror import MirrorServers
from release.config.servers.services import Service
from release.config.target.balancer import BalancerSettings
from release.config.target.provision import Provision
from release.config.target.target import Target

PYTHON = "/usr/bin/python3"


class RootLogin(NamedTuple):
    """`user`: who logs in, through sudo unless it is root; None: whom ssh says. `python`: for Ansible."""

    user: str | None
    python: str


def of(config: ReleaseConfig, host: str, targets: Mapping[str, Target] | None = None) -> RootLogin:
    """User and Python of the tables with `host`: of targets first, then balancers, services, the mirror.

    `targets`: those of release.toml, and the one with a host that was named instead.
    """
    tables = list(_tables(config, host, config.targets if targets is None else targets))
    return RootLogin(
        next((table.user for table in tables if table.user), None),
        next((table.python for table in tables if table.python not in (None, PYTHON)), None) or PYTHON,
    )


def _tables(
    config: ReleaseConfig, host: str, targets: Mapping[str, Target]
) -> Iterator[Provision | BalancerSettings | Service | MirrorServers]:
    yield from (target.provision for target in targets.values() if host in (target.hosts or []))
    for target in targets.values():
        if target.balancer and host in target.balancer.hosts:
            yield from (target.balancer, target.provision)
    yield from (service for service in config.services.values() if host in service.hosts)
    if config.mirror and host in config.mirror.hosts:
        yield config.mirror

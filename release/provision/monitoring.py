"""Make the variables of role monitoring: the program that answers, and addresses that may ask."""

from collections.abc import Mapping
from typing import Any

from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target


def of(config: ReleaseConfig, host: str, targets: Mapping[str, Target]) -> dict[str, Any] | None:
    """The settings for `host`; None when it is not measured.

    `targets`: those of release.toml, and the one with a host that was named instead, which is measured
    unless [monitoring] chooses targets.
    """
    monitoring = config.monitoring
    if monitoring is None:
        return None
    hosts = {name: _hosts(target) for name, target in targets.items()}
    hosts |= {name: service.hosts for name, service in config.services.items()}
    hosts |= {"mirror": config.mirror.hosts} if config.mirror else {}
    if not any(host in there and monitoring.covers(name) for name, there in hosts.items()):
        return None
    return {"kind": monitoring.kind, "from": monitoring.sources, "project": config.app}


def _hosts(target: Target) -> list[str]:
    """Hosts with the application, and the balancers in front of them."""
    return [*(target.hosts or []), *(target.balancer.hosts if target.balancer else [])]

"""What the balancers of release.toml lead to: variables of Ansible's role balancer."""

import re
from pathlib import Path
from typing import Any

from release.config.release_toml import ReleaseConfig, Target
from release.deploy import balancers, ssh
from release.provision import addresses, certificates


def hosts(config: ReleaseConfig, project: Path) -> dict[str, list[dict[str, Any]]]:
    """Every balancer, and the targets that it leads to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, target in config.targets.items():
        for host in target.balancer.hosts if target.balancer else []:
            found.setdefault(host, []).append(_led_to(config, project, name, target, host))
    return found


def url(target: Target) -> str:
    """Where clients of `target` arrive, which has a balancer."""
    names = _names(target, target.balancer.hosts[0] if target.balancer else "")
    return f"{_scheme(target)}://{next((name for name in names if '*' not in name), names[0])}/"


def probe(config: ReleaseConfig) -> str:
    """Pattern of PCRE for the path that balancers ask for, which nginx and its templates leave as it is."""
    return re.sub("[^a-zA-Z0-9/_-]", lambda found: rf"\x{ord(found[0]):02x}", _health_path(config))


def _health_path(config: ReleaseConfig) -> str:
    return config.health.path or "/healthz"


def _scheme(target: Target) -> str:
    return "https" if target.tls or target.tls_certificate else "http"


def _names(target: Target, balancer: str) -> list[str]:
    return target.domains or ssh.names(balancer)


def _led_to(config: ReleaseConfig, project: Path, name: str, target: Target, balancer: str) -> dict[str, Any]:
    """What role balancer needs to lead from the host `balancer` to `target`."""
    first = _names(target, balancer)[0]
    behind = {host: addresses.of(config, host)[0] for host in target.hosts or []}
    return {
        "name": balancers.led_to(config.app, name),
        "app": config.app,
        "user": target.user or config.app,
        "authorized_keys": list(target.provision.authorized_keys),
        "domains": target.domains or [],
        "default_domains": _names(target, balancer),
        **certificates.of(config, project, target, balancer),
        "max_body": target.provision.max_body,
        "log_days": target.provision.log_days,
        "log_size": target.provision.log_size,
        "hosts": [
            {"name": host, "address": f"[{address}]" if ":" in address else address}
            for host, address in behind.items()
        ],
        "health": {
            "app": config.app,
            "path": _health_path(config),
            "host": first.replace("*", "balancer"),
            "scheme": _scheme(target),
        },
    }

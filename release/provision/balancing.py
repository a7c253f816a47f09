"""Make the variables of Ansible's role balancer out of release.toml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from release.agents import ssh
from release.config import static
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
from release.deploy import balancers
from release.provision import addresses, certificates


def hosts(config: ReleaseConfig, project: Path) -> dict[str, list[dict[str, Any]]]:
    """Every balancer, and the targets that it leads to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, target in config.targets.items():
        for host in target.balancer.hosts if target.balancer else []:
            found.setdefault(host, []).append(_led_to(config, project, name, target, host))
    return found


def keys(config: ReleaseConfig, host: str, user: str, own: Sequence[str] | None) -> list[str]:
    """The lines of authorized_keys of `user` on `host`, for all targets that are balanced there.

    `own`: keys that deploy to the host itself, None: nobody does, []: its lines stay as they are. All others
    may only talk to the program that takes hosts out.
    """
    if own is not None and not own:
        return []
    there = [
        key
        for target in config.targets.values()
        if target.balancer and host in target.balancer.hosts and user == (target.user or config.app)
        for key in target.provision.authorized_keys
        if key not in (own or [])
    ]
    talking = [f'restrict,command="{balancers.PROGRAM} talk" {key}' for key in dict.fromkeys(there)]
    return [*(own or []), *talking]


def _own(config: ReleaseConfig, host: str, user: str) -> list[str] | None:
    """The keys of the target that runs on `host` as `user`; None: none does."""
    for target in config.targets.values():
        if host in (target.hosts or []) and user == (target.user or config.app):
            return list(target.provision.authorized_keys)
    return None


def url(target: Target) -> str:
    """The URL at which clients of `target` arrive, which has a balancer."""
    names = _names(target, target.balancer.hosts[0] if target.balancer else "")
    return f"{_scheme(target)}://{next((name for name in names if '*' not in name), names[0])}/"


def probe(config: ReleaseConfig) -> str:
    """Pattern of PCRE for the path that balancers ask for, which nginx and its templates leave as it is."""
    return static.literal(_health_path(config))


def _health_path(config: ReleaseConfig) -> str:
    return config.health.path or "/healthz"


def _scheme(target: Target) -> str:
    return "https" if target.tls or target.tls_certificate else "http"


def _names(target: Target, balancer: str) -> list[str]:
    return target.domains or ssh.names(balancer)


def _led_to(config: ReleaseConfig, project: Path, name: str, target: Target, balancer: str) -> dict[str, Any]:
    """Variables of role balancer with which the host `balancer` leads to `target`."""
    first, user = _names(target, balancer)[0], target.user or config.app
    behind = {host: addresses.of(config, host)[0] for host in target.hosts or []}
    return {
        "name": balancers.led_to(config.app, name),
        "app": config.app,
        "user": user,
        "authorized_keys": keys(config, balancer, user, _own(config, balancer, user)),
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

"""Destinations of a target: this machine, or its hosts through ssh."""

import contextlib
import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.agents import connection, ssh
from release.config import unchecked
from release.config.target import host_argument


def of_target(
    here: connection.LocalDestination,
    hosts: Sequence[str] | None,
    user: str | None,
    app: str,
    targets: Collection[str] = (),
) -> dict[str, connection.Destination]:
    """The destinations of the target that `here` is named for, in the order of its `hosts`, else `here`.

    `targets`: those of release.toml; a host named on the command line is none of them.
    """
    if not hosts:
        return {here.name: here}
    instead = () if here.name in targets else tuple(sorted(targets))
    return {host: ssh.SshDestination(host, user or app, app, instead) for host in hosts}


def selected(name: str, hosts: Sequence[str], limit: Sequence[str], skip: Sequence[str]) -> list[str]:
    """The `hosts` of target `name` that --limit (none: all) and --skip leave, in their order.

    Raises PackhorseError for a host that the target has not, and when none is left.
    """
    for host in (*limit, *skip):
        if host not in hosts:
            raise PackhorseError(f"{name} has no host {host}.", f"Its hosts are: {', '.join(hosts)}")
    left = [host for host in hosts if host not in skip and (not limit or host in limit)]
    if not left:
        raise PackhorseError(f"No host of {name} is left.", "Name fewer hosts with --skip.")
    return left


def require_chosen(name: str, host: str, hosts: Collection[str], left_out: Collection[str]) -> None:
    """Raise PackhorseError unless `host` is among the `hosts` of target `name` that the command reaches."""
    if host in left_out:
        raise PackhorseError(
            f"{host} is left out by --limit or --skip; it has to take part.",
            f"Add --limit {host}, or leave away --skip {host}.",
        )
    if host not in hosts:
        raise PackhorseError(f"{name} has no host {host}.", f"It has {', '.join(hosts)}: name one of them.")


def expected(tables: Mapping[str, Any], name: str, home: Path) -> list[connection.Destination]:
    """Destinations that target `name` will need, by the unchecked `tables` of release.toml.

    Nowhere if they cannot be right; release_toml.py says later what is wrong.
    """
    here = connection.LocalDestination.below(home, name)
    if name == "local":
        return [here]
    app, targets = tables["app"], tables.get("targets", {})
    if not isinstance(targets, dict) or not all(isinstance(target, dict) for target in targets.values()):
        return []
    hosts, user = _named(name, targets), targets.get(name, {}).get("user", app)
    names = all(
        isinstance(word, str) and re.fullmatch(unchecked.HOST_NAME, word) for word in [*hosts, user, app]
    )
    return list(of_target(here, hosts, user, app, targets).values()) if hosts and names else []


def skippable(
    found: Sequence[connection.Destination],
) -> list[connection.Destination]:
    """The destinations of a command that has `--skip`: who cannot reach one of several learns of it."""
    return [
        dataclasses.replace(each, skippable=len(found) > 1) if isinstance(each, ssh.SshDestination) else each
        for each in found
    ]


def _named(name: str, targets: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """The hosts that `name` means: those of the target, else the host itself."""
    hosts: dict[str, list[Any]] = {}
    for key, target in targets.items():
        hosts[key] = target["hosts"] if isinstance(target.get("hosts"), list) else []
    if name in targets:
        return hosts[name]
    with contextlib.suppress(PackhorseError):
        return [host_argument.find(name, hosts).host]
    return []

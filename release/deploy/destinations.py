"""Destinations of a target: this machine, or its hosts through ssh."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from release.config import unchecked
from release.deploy import connection, ssh


def of_target(
    name: str, hosts: Sequence[str] | None, user: str | None, app: str, home: Path
) -> dict[str, connection.Destination]:
    """The destinations of target `name`, in the order of its hosts; without any it is this machine."""
    if not hosts:
        return {name: connection.LocalDestination.below(home, name)}
    return {host: ssh.SshDestination(host, user or app, app) for host in hosts}


def expected(tables: Mapping[str, Any], name: str, home: Path) -> list[connection.Destination]:
    """Destinations that target `name` will need, by the unchecked `tables` of release.toml.

    Nowhere if they cannot be right; release_toml.py says later what is wrong.
    """
    if name == "local":
        return [connection.LocalDestination.below(home, name)]
    app, target = tables["app"], _table(_table(tables, "targets"), name)
    hosts, user = target.get("hosts"), target.get("user", app)
    if not isinstance(hosts, list):
        return []
    names = all(
        isinstance(word, str) and re.fullmatch(unchecked.HOST_NAME, word) for word in [*hosts, user, app]
    )
    return list(of_target(name, hosts, user, app, home).values()) if names else []


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}

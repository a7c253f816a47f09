"""Tokens with which hosts install from an index that asks for a login (`read` in mirror.toml)."""

import json
from collections.abc import Mapping
from pathlib import Path

from release import reading
from release.config import company_index
from release.config.release_toml import ReleaseConfig
from release.provision import inventory

VARIABLE = "PACKHORSE_INDEX_TOKENS"  # roles look there: arguments of Ansible's can be seen by all users
SECONDS = 10.0  # for an answer; the index may be on the mirror that is about to be made


def of(config: ReleaseConfig, target: str, home: Path) -> dict[str, str]:
    """Address that the hosts of `target` install from -> a token that reads it for an hour.

    Empty for an index that everybody reads, or that does not answer. Raises PackhorseError without a login.
    """
    url = _installs_from(config, target)
    index = (url or "").removesuffix("/").removesuffix("/+simple")
    if not url or index == url.removesuffix("/"):  # another server than devpi
        return {}
    token = reading.of([index], home, SECONDS).token()
    return {url: token} if token else {}


def environment(tokens: Mapping[str, str]) -> dict[str, str]:
    """Environment variables by which roles get `tokens`."""
    return {VARIABLE: json.dumps(tokens)} if tokens else {}


def _installs_from(config: ReleaseConfig, target: str) -> str | None:
    if target in config.services:
        return None
    if target == inventory.MIRROR and config.mirror and config.mirror.index_url:
        return str(config.mirror.index_url)
    return company_index.simple_url(config.index) if config.index else None

"""Choose the company index: that of a project, that of a target, one that a user names."""

import json
import re
from pathlib import Path

from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
from release.config.value_types import (
    index_reference,
)


def of_project(config: ReleaseConfig, home: Path) -> str:
    """The company index, without a slash at its end: the configured one, else the local mirror's.

    Raises PackhorseError when neither is known.
    """
    if config.index:
        return config.index
    mirror = home / "mirror" / "credentials.json"
    try:
        return f"{json.loads(mirror.read_bytes())['url']}/company/dev"
    except FileNotFoundError:
        raise PackhorseError(
            "No company index is configured, and this machine runs no mirror of its own.",
            'Write index = "https://…/company/dev" into release.toml, or run: mirror init',
        ) from None


def resolve(reference: str, index: str) -> str:
    """The URL of the index that `reference` names: a URL, or USER/INDEX on the server of the URL `index`.

    Raises PackhorseError for what is neither, and when `index` has no USER/INDEX itself.
    """
    try:
        named = index_reference(reference)
    except ValueError as error:
        raise PackhorseError(f"{error}.", "Name it as devpi does: --to company/prod") from None
    if "://" in named:
        return named
    found = re.fullmatch(r"(https?://.+)/[^/]+/[^/]+", index)
    if not found:
        raise PackhorseError(
            f"{named} is on no server: {index} does not end in USER/INDEX, as an index of devpi does.",
            f"Write its whole address instead of {named}.",
        )
    return f"{found[1]}/{named}"


def of_target(config: ReleaseConfig, target: Target, home: Path) -> str:
    """The index of the company that `target` takes its versions from: its own, else the project's.

    Raises PackhorseError when there is none.
    """
    if target.index and "://" in target.index:
        return target.index
    project = of_project(config, home)
    return resolve(target.index, project) if target.index else project


def simple_url(index: str) -> str:
    """The address of `index` that pip and uv install from (PEP 503), with the slash that they expect."""
    return f"{index}/+simple/"

"""Yank and unyank releases on our own indexes (PEP 592)."""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mirror import api as client
from mirror.api import Api
from packhorse.errors import PackhorseError


def yank(api: Api, index: str, release: str, reason: str | None) -> str:
    """Yank `release`; return a sentence for the user. Raises PackhorseError."""
    name, version = parse(release)
    with client.about(f"{name} {version} was not yanked"):
        api.call("PUT", f"/{index}/{name}/{version}/+yank", {"reason": reason} if reason else {})
    return f"yanked {name} {version} on {index}" + (f": {reason}" if reason else "")


def unyank(api: Api, index: str, release: str) -> str:
    """Unyank `release`; return a sentence for the user. Raises PackhorseError."""
    name, version = parse(release)
    with client.about(f"{name} {version} was not unyanked"):
        api.call("DELETE", f"/{index}/{name}/{version}/+yank")
    return f"unyanked {name} {version} on {index}"


def parse(release: str) -> tuple[str, str]:
    """The normalised name and the version of NAME==VERSION."""
    try:
        requirement = Requirement(release)
    except InvalidRequirement:
        requirement = None
    exact = re.fullmatch(r"==([^*/]+)", str(requirement.specifier)) if requirement else None
    if requirement is None or exact is None:
        raise PackhorseError(
            f'"{release}" names no release.', "Write it as NAME==VERSION, such as demo==1.2."
        )
    return canonicalize_name(requirement.name), exact[1]

"""Yank and unyank releases on our own indexes (PEP 592)."""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mirror import state
from mirror.api import Api, HttpApi
from mirror.state import Folder
from packhorse.errors import PackhorseError


def connect(folder: Folder) -> Api:
    """The API of the running mirror, as root. Raises PackhorseError when none runs."""
    now, credentials = state.read_serving(folder), state.read_credentials(folder)
    if now is None or credentials is None:
        raise PackhorseError("The mirror does not serve.", "Start it with `mirror serve --background`.")
    return HttpApi(now.url, credentials.users["root"])


def yank(api: Api, index: str, release: str, reason: str | None) -> str:
    """Yank `release`; return a sentence for the user. Raises PackhorseError."""
    name, version = parse(release)
    api.call("PUT", f"/{index}/{name}/{version}/+yank", {"reason": reason} if reason else {})
    return f"yanked {name} {version} on {index}" + (f": {reason}" if reason else "")


def unyank(api: Api, index: str, release: str) -> str:
    """Unyank `release`; return a sentence for the user. Raises PackhorseError."""
    name, version = parse(release)
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

"""Parse a pylock.toml (PEP 751) into requirement lines, or into the files that this host needs."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from packaging import pylock
from packaging.tags import Tag

from packhorse import toml
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from packaging.markers import Environment

NAME = "pylock.toml"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse(data: bytes, where: str) -> pylock.Pylock:
    """Parse the lock in `data`; `where` (the file's path) starts every message.

    Raises PackhorseError when it is not a valid lock, or when it has packages that no index can
    deliver by name, version and hash (directories, archives at a URL, repositories).
    """
    try:
        lock = pylock.Pylock.from_dict(toml.parse(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, pylock.PylockValidationError) as error:
        raise PackhorseError(f"{where}: this is not a valid lock: {error}", _AGAIN) from error
    for package in lock.packages:
        if package.version is None or not (package.wheels or package.sdist):
            raise PackhorseError(
                f"{where}: {package.name} comes from a folder, a URL or a repository, not from an index.",
                f"Upload {package.name} to the company index and depend on it by name and version.",
            )
    return lock


def requirements(lock: pylock.Pylock, where: str) -> list[str]:
    """`name==version ; marker --hash=sha256:… …` for every package: what pip and uv install from an index."""
    return [_requirement(package, where) for package in lock.packages]


def _requirement(package: pylock.Package, where: str) -> str:
    marker = f" ; {package.marker}" if package.marker else ""
    if re.search(r"\b(extras|dependency_groups)\b", marker):
        raise PackhorseError(f"{where}: {package.name} belongs to an extra, which nobody installs.", _AGAIN)
    files: list[pylock.PackageWheel | pylock.PackageSdist] = list(package.wheels or [])
    if package.sdist:
        files.append(package.sdist)
    digests = sorted({str(file.hashes.get("sha256")).lower() for file in files})
    if not all(_SHA256.fullmatch(digest) for digest in digests):
        raise PackhorseError(f"{where}: a file of {package.name} has no sha256.", _AGAIN)
    hashes = "".join(f" --hash=sha256:{digest}" for digest in digests)
    return f"{package.name}=={package.version}{marker}{hashes}"


def select(
    lock: pylock.Pylock,
    where: str,
    environment: Mapping[str, str] | None = None,
    tags: Sequence[Tag] | None = None,
) -> list[tuple[str, str, str]]:
    """Name of the package, file name and sha256 of everything that a Python on its platform needs.

    It is the one of these markers and `tags`, or this one. Raises PackhorseError when the lock has nothing
    for it.
    """
    try:
        selected = lock.select(environment=cast("Environment | None", environment), tags=tags)
        return [_file(package, file) for package, file in selected]
    except pylock.PylockSelectError as error:
        raise PackhorseError(
            f"{where}: {error}", "Lock for the hosts' platform, too: release lock"
        ) from error


def _file(package: pylock.Package, file: object) -> tuple[str, str, str]:
    assert isinstance(file, pylock.PackageWheel | pylock.PackageSdist)  # noqa: S101  # parse refuses the rest
    return package.name, file.filename, str(file.hashes["sha256"]).lower()


_AGAIN = "Make it again: release lock"

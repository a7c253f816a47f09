"""Read pdm.lock, lock versions 4.x."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from mirror.lockfiles import dependants, lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Lock, LockedFile, Pin


class _File(msgspec.Struct):
    file: str = ""
    url: str = ""
    hash: str = ""


class _Package(msgspec.Struct):
    name: str
    version: str = ""
    requires_python: str = ""
    files: list[_File] = []
    marker: str = ""
    extras: list[str] = []
    dependencies: list[str] = []
    git: str = ""
    path: str = ""
    url: str = ""


class _Metadata(msgspec.Struct):
    lock_version: str
    strategy: list[str] = []


class _PdmLock(msgspec.Struct):
    metadata: _Metadata
    package: list[_Package] = []


def read(data: Mapping[str, Any], environments: Sequence[Environment]) -> Lock:
    """Every package of all groups that an environment needs. Raises ValueError, InvalidMarker."""
    parsed = msgspec.convert(data, _PdmLock)
    if parsed.metadata.lock_version.partition(".")[0] != "4":
        raise ValueError(f"lock_version {parsed.metadata.lock_version} is unknown, 4.x can be read")
    edges = [edge for package in parsed.package for edge in _edges(package)]
    # With this strategy a package says itself where it is needed.
    asked = {} if "inherit_metadata" in parsed.metadata.strategy else dependants.by_name(edges)
    pins, elsewhere = [], []
    for package in parsed.package:
        name = lock.normalised(package.name)
        chosen = tuple(
            each
            for each in environments
            if each.takes_python(package.requires_python)
            and each.holds(package.marker)
            and dependants.is_needed(asked.get(name, ()), each)
        )
        if chosen and (place := _place(package)):
            elsewhere.append(Elsewhere(name, place, local=bool(package.path)))
        elif chosen:
            files = tuple(_file(file) for file in package.files)
            extras = tuple(package.extras)
            pins.append(
                Pin(name, package.version, files, extras=extras, marker=package.marker, environments=chosen)
            )
    return Lock((), pins=tuple(pins), elsewhere=tuple(elsewhere))


def _place(package: _Package) -> str:
    """Its source, if that is no index."""
    given = {"git": package.git, "path": package.path, "url": package.url}
    return next((f"{kind} {place}" for kind, place in given.items() if place), "")


def _file(file: _File) -> LockedFile:
    name = file.file or PurePosixPath(unquote(urlsplit(file.url).path)).name
    return LockedFile(name, lock.hashes_of([file.hash] if file.hash else []))


def _edges(package: _Package) -> Iterator[tuple[str, str]]:
    for text in package.dependencies:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"{package.name}: {error}") from error
        if (name := lock.normalised(requirement.name)) != lock.normalised(package.name):  # of its own extra
            yield name, str(requirement.marker or "")

"""Read poetry.lock, lock versions 2.0 and 2.1."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mirror.lockfiles import dependants, lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Lock, LockedFile, Pin


class _File(msgspec.Struct):
    file: str
    hash: str = ""


class _Source(msgspec.Struct):
    type: str = ""
    url: str = ""


class _Package(msgspec.Struct, rename="kebab"):
    name: str
    version: str
    python_versions: str = "*"
    files: list[_File] = []
    markers: str | dict[str, str] = ""
    source: _Source | None = None
    dependencies: dict[str, Any] = {}


class _Metadata(msgspec.Struct, rename="kebab"):
    lock_version: str


class _PoetryLock(msgspec.Struct):
    metadata: _Metadata
    package: list[_Package] = []


def read(data: Mapping[str, Any], environments: Sequence[Environment]) -> Lock:
    """Every package of all groups and extras that an environment needs. Raises ValueError, InvalidMarker."""
    parsed = msgspec.convert(data, _PoetryLock)
    if parsed.metadata.lock_version not in {"2.0", "2.1"}:
        raise ValueError(f"lock-version {parsed.metadata.lock_version} is unknown, 2.0 and 2.1 can be read")
    # Since 2.1 a package says itself where it is needed.
    edges = [edge for package in parsed.package for edge in _edges(package)]
    asked = dependants.by_name(edges) if parsed.metadata.lock_version == "2.0" else {}
    pins, elsewhere = [], []
    for package in parsed.package:
        name = lock.normalised(package.name)
        markers = [package.markers] if isinstance(package.markers, str) else package.markers.values()
        chosen = tuple(
            each
            for each in environments
            if _takes(each, package.python_versions)
            and any(each.holds(marker) for marker in markers)
            and dependants.is_needed(asked.get(name, ()), each)
        )
        if chosen and package.source and package.source.type not in {"", "legacy"}:
            place = f"{package.source.type} {package.source.url}"
            elsewhere.append(Elsewhere(name, place, local=package.source.type in {"directory", "file"}))
        elif chosen:
            files = tuple(_file(file) for file in package.files)
            marker = " or ".join(f"({text})" for text in markers if text)
            source = package.source.url if package.source else ""
            pins.append(Pin(name, package.version, files, marker=marker, source=source, environments=chosen))
    return Lock((), pins=tuple(pins), elsewhere=tuple(elsewhere))


def _file(file: _File) -> LockedFile:
    return LockedFile(file.file, lock.hashes_of([file.hash] if file.hash else []))


def _takes(environment: Environment, versions: str) -> bool:
    """Whether poetry's constraint (`>=3.8,<4.0 || >=5`) allows the Python; `*` is no specifier."""
    return any(environment.takes_python(part.strip()) for part in versions.split("||"))


def _edges(package: _Package) -> Iterator[tuple[str, str]]:
    """The names that a package depends on, with markers: a string, a table, or a list of tables."""
    for name, value in package.dependencies.items():
        for each in value if isinstance(value, list) else [value]:
            marker = each.get("markers", "") if isinstance(each, dict) else ""
            yield lock.normalised(name), str(marker)

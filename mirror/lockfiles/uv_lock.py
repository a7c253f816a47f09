"""Read uv.lock: follow its edges from the projects of the workspace."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Lock, LockedFile, Pin

_OWN = ("virtual", "editable")
_LOCAL = (*_OWN, "directory", "path")


class _File(msgspec.Struct):
    url: str = ""
    path: str = ""
    filename: str = ""
    hash: str = ""
    size: int | None = None


class _Edge(msgspec.Struct):
    name: str
    version: str | None = None
    source: dict[str, Any] | None = None
    marker: str = ""
    extra: list[str] = []


class _Package(msgspec.Struct, rename="kebab", eq=False):
    name: str
    source: dict[str, Any]
    version: str | None = None
    sdist: _File | None = None
    wheels: list[_File] = []
    dependencies: list[_Edge] = []
    optional_dependencies: dict[str, list[_Edge]] = {}
    dev_dependencies: dict[str, list[_Edge]] = {}


class _Manifest(msgspec.Struct, rename="kebab"):
    requirements: list[_Edge] = []
    dependency_groups: dict[str, list[_Edge]] = {}


class _UvLock(msgspec.Struct):
    version: int
    package: list[_Package] = []
    manifest: _Manifest = msgspec.field(default_factory=_Manifest)


def read(data: Mapping[str, Any], environments: Sequence[Environment]) -> Lock:
    """All that the workspace needs, with every extra and group. Raises ValueError, InvalidMarker."""
    parsed = msgspec.convert(data, _UvLock)
    if parsed.version != 1:
        raise ValueError(f"version {parsed.version} of uv.lock is unknown, only 1 can be read")
    reached: dict[_Package, dict[Environment, set[str]]] = {}
    for environment in environments:
        for package, extras in _needed(parsed, environment).items():
            reached.setdefault(package, {})[environment] = extras
    pins, elsewhere = [], []
    for package, where in reached.items():
        if place := _elsewhere(package):
            elsewhere.append(place)
        elif "registry" in package.source:
            asked = {extra for extras in where.values() for extra in extras}
            pins.append(_pin(package, tuple(sorted(asked)), tuple(where)))
    return Lock((), pins=tuple(pins), elsewhere=tuple(elsewhere))


def _needed(parsed: _UvLock, environment: Environment) -> dict[_Package, set[str]]:
    """The packages that edges lead to, with the extras that are asked of them."""
    by_name: dict[str, list[_Package]] = {}
    for package in parsed.package:
        by_name.setdefault(package.name, []).append(package)
    roots = [package for package in parsed.package if any(kind in package.source for kind in _OWN)]
    starts = [
        *parsed.manifest.requirements,
        *(e for es in parsed.manifest.dependency_groups.values() for e in es),
    ]
    # A lock of neither (of a script without dependencies, or an unusual one): everything.
    todo = [(package, "") for package in (roots or ([] if starts else parsed.package))]
    todo += [(package, extra) for package in roots for extra in package.optional_dependencies]
    todo += list(_led_to(starts, by_name, environment))
    found: dict[_Package, set[str]] = {}
    while todo:
        package, extra = todo.pop()
        known = found.setdefault(package, set())
        if (extra or "+") in known:
            continue
        known.add(extra or "+")
        edges = package.optional_dependencies.get(extra, []) if extra else list(package.dependencies)
        if not extra and package in roots:
            edges = [*edges, *(edge for group in package.dev_dependencies.values() for edge in group)]
        todo += _led_to(edges, by_name, environment)
    return {package: extras - {"+"} for package, extras in found.items()}


def _led_to(
    edges: Sequence[_Edge], by_name: Mapping[str, Sequence[_Package]], environment: Environment
) -> Iterator[tuple[_Package, str]]:
    for edge in edges:
        if not environment.holds(edge.marker):
            continue
        for package in by_name.get(edge.name, ()):
            # They are left out where only one package has the name.
            if edge.version in {None, package.version} and edge.source in (None, package.source):
                yield from ((package, extra) for extra in ("", *edge.extra))


def _pin(package: _Package, extras: tuple[str, ...], environments: tuple[Environment, ...]) -> Pin:
    if package.version is None:
        raise ValueError(f"{package.name} has no version")
    listed = [*package.wheels, *([package.sdist] if package.sdist else [])]
    return Pin(
        lock.normalised(package.name),
        package.version,
        tuple(_file(file) for file in listed),
        extras=extras,
        source=str(package.source["registry"]),
        environments=environments,
        exact=True,
    )


def _file(file: _File) -> LockedFile:
    name = file.filename or PurePosixPath(unquote(urlsplit(file.url or file.path).path)).name
    return LockedFile(name, lock.hashes_of([file.hash] if file.hash else []), file.size)


def _elsewhere(package: _Package) -> Elsewhere | None:
    """Source of a package that is in no index; None also for the projects of the lock themselves."""
    if "registry" in package.source or any(kind in package.source for kind in _OWN):
        return None
    kind, place = next(iter(package.source.items()), ("source", "unknown"))
    return Elsewhere(package.name, f"{kind} {place}", local=kind in _LOCAL)

"""Read Pipfile.lock."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Lock, Pin, Requirement

_PLACES = ("git", "hg", "svn", "bzr", "file", "path")


class _Package(msgspec.Struct):
    version: str = ""
    hashes: list[str] = []
    markers: str = ""
    extras: list[str] = []
    index: str = ""
    git: str = ""
    hg: str = ""
    svn: str = ""
    bzr: str = ""
    file: str = ""
    path: str = ""


class _Source(msgspec.Struct):
    name: str = ""
    url: str = ""


class _Meta(msgspec.Struct):
    pipfile_spec: int = msgspec.field(name="pipfile-spec")
    sources: list[_Source] = []


def read(data: Mapping[str, Any], environments: Sequence[Environment]) -> Lock:
    """The packages of all categories, such as `develop`. Raises ValueError, InvalidMarker."""
    meta = msgspec.convert(data["_meta"], _Meta)
    if meta.pipfile_spec != 6:
        raise ValueError(f"pipfile-spec {meta.pipfile_spec} is unknown, only 6 can be read")
    urls = {source.name: source.url for source in meta.sources}
    pins, requirements, elsewhere = [], [], []
    for category, listed in data.items():
        packages = {} if category == "_meta" else msgspec.convert(listed, dict[str, _Package])
        for given, package in packages.items():
            name = lock.normalised(given)
            chosen = tuple(each for each in environments if each.holds(package.markers))
            place = next((kind for kind in _PLACES if getattr(package, kind)), "")
            if chosen and place:
                where = f"{place} {getattr(package, place)}"
                local = place == "path" or (place == "file" and "://" not in package.file)
                elsewhere.append(Elsewhere(name, where, local=local))
            elif chosen and package.version.startswith("=="):
                pins.append(_pin(name, package, urls, chosen))
            elif chosen:  # pipenv writes "*" for what it could not lock on the machine where it ran
                requirements.append(_requirement(name, package))
    return Lock((), pins=tuple(pins), requirements=tuple(requirements), elsewhere=tuple(elsewhere))


def _pin(name: str, package: _Package, urls: Mapping[str, str], environments: tuple[Environment, ...]) -> Pin:
    return Pin(
        name,
        package.version.lstrip("=").strip(),
        hashes=lock.hashes_of(package.hashes),
        extras=tuple(package.extras),
        marker=package.markers,
        source=urls.get(package.index, ""),
        environments=environments,
    )


def _requirement(name: str, package: _Package) -> Requirement:
    extras = f"[{','.join(package.extras)}]" if package.extras else ""
    marker = f" ; {package.markers}" if package.markers else ""
    return Requirement(f"{name}{extras}{package.version.replace('*', '')}{marker}")

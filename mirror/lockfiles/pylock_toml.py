"""Read pylock.toml (PEP 751)."""

from collections.abc import Mapping, Sequence
from typing import Any

from packaging import pylock
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Lock, LockedFile, Pin


def read(data: Mapping[str, Any], environments: Sequence[Environment]) -> Lock:
    """Every package whose marker holds, with all extras and groups. Raises ValueError, InvalidMarker."""
    try:
        parsed = pylock.Pylock.from_dict(data)
    except pylock.PylockValidationError as error:
        raise ValueError(str(error)) from error
    extras, groups = parsed.extras or (), parsed.dependency_groups or ()
    pins, elsewhere = [], []
    for package in parsed.packages:
        marker = str(package.marker or "")
        fitting = [each for each in environments if each.holds(marker, extras, groups)]
        python = str(package.requires_python or "")
        chosen = tuple(each for each in fitting if each.takes_python(python))
        if not chosen:
            continue
        if place := _elsewhere(package):
            elsewhere.append(place)
        else:
            pins.append(_pin(package, marker, chosen))
    return Lock((), pins=tuple(pins), elsewhere=tuple(elsewhere))


def _pin(package: pylock.Package, marker: str, environments: tuple[Environment, ...]) -> Pin:
    listed = [*(package.wheels or ()), *((package.sdist,) if package.sdist else ())]
    files = tuple(LockedFile(file.filename, lock.hashes_of(file.hashes), file.size) for file in listed)
    version = str(package.version) if package.version else _version(package)
    return Pin(
        package.name,
        version,
        files,
        marker=marker,
        source=package.index or "",
        environments=environments,
        exact=True,
    )


def _version(package: pylock.Package) -> str:
    """The version that names of its files have: the package need not state it."""
    if package.wheels:
        return str(parse_wheel_filename(package.wheels[0].filename)[1])
    return str(parse_sdist_filename(package.sdist.filename)[1]) if package.sdist else ""


def _elsewhere(package: pylock.Package) -> Elsewhere | None:
    if package.vcs:
        place = package.vcs.url or package.vcs.path
        return Elsewhere(package.name, f"{package.vcs.type} {place}")
    if package.directory:
        return Elsewhere(package.name, f"the folder {package.directory.path}", local=True)
    if package.archive:
        return Elsewhere(
            package.name, f"{package.archive.url or package.archive.path}", local=not package.archive.url
        )
    return None

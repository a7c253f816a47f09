"""Find locked dependencies that hosts could not install: without a wheel for Linux and a target's Python."""

import platform
from collections.abc import Collection, Iterator
from typing import cast

from packaging import tags
from packaging.markers import Environment, default_environment
from packaging.pylock import PackageSdist, Pylock, PylockSelectError

# Of Debian 12, the oldest that release provision prepares.
_GLIBC_MINOR = 36
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def warnings(lock: Pylock, pythons: Collection[str], built: Collection[str]) -> Iterator[str]:
    """A sentence for each of the versions `pythons` (such as 3.12) for which the lock lacks a wheel.

    Of the packages `built` the artifact has wheels. Hosts are taken for Linux on this machine's kind of
    processor.
    """
    machine = platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    for version in sorted(pythons):
        fits = [*_tags(version, machine)]
        try:
            for package, file in lock.select(environment=_environment(version, machine), tags=fits):
                if isinstance(file, PackageSdist) and package.name not in built:
                    yield _no_wheel(package.name, version, machine)
        except PylockSelectError as error:
            yield f"Hosts with Python {version} cannot install what is locked: {error}"


def _no_wheel(name: str, version: str, machine: str) -> str:
    return (
        f"{name} has no wheel for Python {version} on Linux ({machine}), and hosts build nothing: "
        f'take another version, or have it built here: sdists = ["{name}"] in release.toml.'
    )


def _tags(version: str, machine: str) -> Iterator[tags.Tag]:
    major, minor = map(int, version.split("."))
    platforms = [f"manylinux_2_{glibc}_{machine}" for glibc in range(_GLIBC_MINOR, 4, -1)]
    platforms += [f"{legacy}_{machine}" for legacy in _LEGACY.values()] + [f"linux_{machine}"]
    yield from tags.cpython_tags((major, minor), platforms=platforms)
    yield from tags.compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=platforms)


def _environment(version: str, machine: str) -> Environment:
    """Markers there (PEP 508); the patch version is one of those that no marker leaves out."""
    there = {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.99",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.99",
        "python_version": version,
        "sys_platform": "linux",
    }
    return cast("Environment", {**default_environment(), **there})

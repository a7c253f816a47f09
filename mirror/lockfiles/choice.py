"""Choose the files of a pin that installers take in its environments, from those that a page lists."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from packaging.version import InvalidVersion, Version

from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Hashes, LockedFile, Pin
from packhorse import filenames

PageFile = Mapping[str, Any]
"""A file as a page in JSON has it (PEP 691): filename, url, hashes, requires-python."""


class NoFileError(Exception):
    """A page has no file that fits the pin; the message says why."""


def choose(
    pin: Pin, files: Iterable[PageFile], *, every: bool = False, where: str = "the index"
) -> list[PageFile]:
    """The wheels that the environments of `pin` take, or the sdist where there is none; or `every` file.

    Raises NoFileError, which names the place as `where`.
    """
    listed = {file["filename"]: file for file in files}
    candidates = [file.filename for file in pin.files if pin.exact or every or file.filename in listed]
    candidates = candidates or _of_version(pin, listed, where)
    if every:
        return [_listed(pin, name, listed, where) for name in candidates]
    chosen: dict[str, PageFile] = {}
    for environment in pin.environments:
        names = [
            name
            for name in candidates
            if name not in listed or environment.takes_python(listed[name].get("requires-python"))
        ]
        taken = _taken(names, environment)
        if not taken:
            raise NoFileError(f"{where} has no file of it that fits {environment}")
        for name in taken:
            chosen[name] = _listed(pin, name, listed, where)
    return list(chosen.values())


def builders(pin: Pin, files: Iterable[PageFile]) -> dict[str, tuple[Environment, ...]]:
    """Sdists by name, with the environments that take them, and so must build them."""
    listed = list(files)
    found: dict[str, tuple[Environment, ...]] = {}
    for environment in pin.environments:
        with suppress(NoFileError):
            for file in choose(replace(pin, environments=(environment,)), listed):
                if not (name := file["filename"]).endswith(".whl"):
                    found[name] = (*found.get(name, ()), environment)
    return found


def locked_hashes(pin: Pin, file: PageFile) -> dict[str, str]:
    """The hashes that a chosen `file` must have by the lock, as far as that tells which are its."""
    named = next((each.hashes for each in pin.files if each.filename == file["filename"]), None)
    if named is not None:
        return dict(named)
    # Which of them is that of this file, nobody can tell; a page that states one was compared already.
    hashes = _hashes(pin)
    return dict(hashes) if len(hashes) == 1 else {}


def _taken(names: Sequence[str], environment: Environment) -> list[str]:
    parsed = {name: found for name in names if (found := filenames.parse(name))}
    wheels = {name: found.tags for name, found in parsed.items() if found.tags}
    sdists = [name for name, found in parsed.items() if not found.tags]
    # Installers prefer the usual form of an sdist.
    return environment.wheels(wheels) or sorted(sdists, key=lambda name: not name.endswith(".tar.gz"))[:1]


def _hashes(pin: Pin) -> Hashes:
    """All hashes that the lock has of the version: installers take no file that has none of them."""
    return pin.hashes.union(*(file.hashes for file in pin.files))


def _of_version(pin: Pin, listed: Mapping[str, PageFile], where: str) -> list[str]:
    named = [name for name in listed if _is_of(pin, name)]
    if not named:
        raise NoFileError(f"{where} has no such version{_instead(pin)}")
    hashes = _hashes(pin)
    allowed = [name for name in named if not hashes or _agree(hashes, listed[name]["hashes"])]
    if not allowed:
        raise NoFileError(f"{where} has it with another hash{_instead(pin)}")
    return allowed


def _listed(pin: Pin, name: str, listed: Mapping[str, PageFile], where: str) -> PageFile:
    """The file of the page. Raises NoFileError when the page lacks it, or has it with another hash."""
    if name not in listed:
        raise NoFileError(f"{where} has no {name}{_instead(pin)}")
    locked = next((file for file in pin.files if file.filename == name), LockedFile(name))
    if locked.hashes and not _agree(locked.hashes, listed[name]["hashes"]):
        raise NoFileError(f"{where} has {name} with another hash{_instead(pin)}")
    return listed[name]


def is_yanked(file: PageFile) -> bool:
    """Whether a page says that nobody should newly choose a file: true, or a reason, perhaps "" (PEP 592)."""
    return file.get("yanked") not in (None, False)


def _agree(wanted: Hashes, stated: Mapping[str, str]) -> bool:
    """Whether a hash is among those of the lock; one of a kind that the lock has not says nothing."""
    kinds = {kind for kind, _ in wanted} & set(stated)
    return not kinds or any((kind, stated[kind].lower()) in wanted for kind in kinds)


def _instead(pin: Pin) -> str:
    return f" (the lock takes it from {pin.source})" if pin.source else ""


def _is_of(pin: Pin, filename: str) -> bool:
    parsed = filenames.parse(filename)
    try:
        return parsed is not None and parsed.project == pin.project and parsed.version == Version(pin.version)
    except InvalidVersion:
        return False

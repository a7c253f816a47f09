"""Read which files a lock (pylock.toml, or requirements.txt with pins) needs on this Python and platform."""

import platform
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from packaging import pylock, tags
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from packhorse.errors import PackhorseError

Hashes = frozenset[tuple[str, str]]  # {("sha256", "…hex…")}
_HASH = re.compile(r"\s--hash[= ](\w+):([0-9a-fA-F]+)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_TAGS = {tag: number for number, tag in enumerate(tags.sys_tags())}  # the best comes first
_PYTHON = platform.python_version()


@dataclass(frozen=True)
class Pin:
    """A file that a lock asks for: a version of a project, perhaps with a filename, perhaps with hashes."""

    project: str  # normalised
    version: str | None = None
    filename: str | None = None  # None: the best one for this Python and platform
    hashes: Hashes = field(default=frozenset())  # empty: any

    def __str__(self) -> str:
        return self.filename or f"{self.project}=={self.version}"


class NoFileError(Exception):
    """A project page has no file that fits the pin; the message says why."""


def read(path: Path) -> list[Pin]:
    """The pins of the lock that hold here. Raises PackhorseError that names the line or package at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackhorseError(f"{path}: {error}", "Name a pylock.toml or a requirements.txt.") from error
    pins = _of_pylock(text, path) if pylock.is_valid_pylock_path(path) else _of_requirements(text, path)
    return list(dict.fromkeys(pins))


def choose(pin: Pin, files: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The file among `files` (of a PEP 691 page) that fits `pin`. Raises NoFileError."""
    named = [file for file in files if _is_of(pin, file["filename"])]
    if not named:
        raise NoFileError("the index has no such file" if pin.filename else "the index has no such version")
    allowed = [file for file in named if not pin.hashes or pin.hashes & set(file["hashes"].items())]
    if not allowed:
        raise NoFileError("the index has it with another hash")
    if pin.filename:
        return allowed[0]
    usable = [file for file in allowed if _takes_this_python(file)]
    ranked = [(rank, file) for file in usable if (rank := _rank(file["filename"])) is not None]
    if not ranked:
        raise NoFileError("no file of it fits this Python and platform")
    return min(ranked, key=itemgetter(0))[1]


def _of_pylock(text: str, path: Path) -> Iterator[Pin]:
    try:
        lock = pylock.Pylock.from_dict(tomllib.loads(text))
        for package, file in lock.select():
            if not isinstance(file, (pylock.PackageWheel, pylock.PackageSdist)):
                raise PackhorseError(
                    f"{path}: {package.name} comes from a folder, a URL or a repository, not from an index.",
                    "Upload it to an index, and depend on it by name and version.",
                )
            hashes = frozenset((kind, value.lower()) for kind, value in file.hashes.items())
            version = str(package.version) if package.version else None
            yield Pin(package.name, version, file.filename, hashes)
    except (tomllib.TOMLDecodeError, pylock.PylockValidationError, pylock.PylockSelectError) as error:
        raise PackhorseError(
            f"{path}: {error}", "Make the lock again, for this Python and platform."
        ) from error


def _of_requirements(text: str, path: Path) -> Iterator[Pin]:
    for number, line in _logical_lines(text):
        if option := re.match(r"(?:-r|--requirement)[ =]+(\S+)", line):
            yield from read(path.parent / option[1])
        elif not re.match(
            r"--?[a-z]", line
        ):  # other options name places to install from: here it is the mirror
            yield from _of_line(line, f"{path}:{number}")


def _of_line(line: str, where: str) -> Iterator[Pin]:
    hashes = frozenset((kind, value.lower()) for kind, value in _HASH.findall(line))
    try:
        requirement = Requirement(_HASH.sub("", line).strip())
    except InvalidRequirement as error:
        raise PackhorseError(f"{where}: {error}", "Only lines like `name==1.2` can be prefetched.") from error
    exact = [spec for spec in requirement.specifier if spec.operator in {"==", "==="}]
    pins = [spec.version for spec in exact if "*" not in spec.version]
    if requirement.url or len(pins) != 1:
        raise PackhorseError(
            f"{where}: {requirement.name} has no pinned version.",
            "Pin every line, for example with `uv pip compile --generate-hashes requirements.in`.",
        )
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        yield Pin(canonicalize_name(requirement.name), pins[0], hashes=hashes)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, joined at a final backslash, each with the number of its first line."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if joined else number
        joined += _COMMENT.sub("", line)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined.strip():
            yield first, joined.strip()
        joined = ""
    if joined.strip():
        yield first, joined.strip()


def _is_of(pin: Pin, filename: str) -> bool:
    if pin.filename:
        return filename == pin.filename
    parsed = _parse(filename)
    try:
        return parsed is not None and parsed[0] == pin.project and parsed[1] == Version(pin.version or "")
    except InvalidVersion:
        return False


def _rank(filename: str) -> int | None:
    """The preference for a file: low is better, sdists are last, None cannot be installed here."""
    parsed = _parse(filename)
    if parsed is None:
        return None
    if not parsed[2]:
        return len(_TAGS)
    return min((_TAGS[tag] for tag in parsed[2] if tag in _TAGS), default=None)


def _parse(filename: str) -> tuple[str, Version, frozenset[tags.Tag]] | None:
    """Name, version and, for a wheel, its tags. None for a file that is neither wheel nor sdist."""
    try:
        if filename.endswith(".whl"):
            name, version, _, found = parse_wheel_filename(filename)
            return name, version, found
        return *parse_sdist_filename(filename), frozenset()
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None


def _takes_this_python(file: Mapping[str, Any]) -> bool:
    try:
        return SpecifierSet(file.get("requires-python") or "").contains(_PYTHON, prereleases=True)
    except InvalidSpecifier:  # pip and uv take such files too
        return True

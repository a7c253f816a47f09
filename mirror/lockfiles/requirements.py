"""Read requirements: files in the form of pip, and single ones such as `flask==3.1`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from packaging import requirements as packaging
from packaging.requirements import InvalidRequirement

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Hashes, Lock, LockError, Pin, Requirement

_HASH = re.compile(r"\s--hash[= ]\s*(\w+):([0-9a-fA-F]+)")
_LINE_OPTIONS = re.compile(r"\s--(?:config-settings?|global-option)[= ]\s*\S+")
_COMMENT = re.compile(r"(^|\s)#.*$")
_NESTED = re.compile(r"(-r|--requirement|-c|--constraint)[ =]*(\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]*(.+)")
_PLACE = re.compile(r"(?:\.{0,2}/|[A-Za-z][A-Za-z0-9+.-]*:/|.*\.(?:whl|tar\.gz|zip)(?:\s|;|$))")
_DEEPEST = 20
"""How many files may lead to each other: one may lead to itself."""


def read(path: Path, text: str, environments: Sequence[Environment], *, depth: int = 0) -> Lock:
    """What the lines of a file, and of those that it names, ask for. Raises LockError."""
    found: list[Lock] = []
    for number, line in _logical_lines(text):
        where = f"{path}:{number}"
        if nested := _NESTED.match(line):
            more = path.parent / nested[2]
            inner = _nested(more, where, environments, depth + 1)
            found.append(_as_constraints(inner) if nested[1] in {"-c", "--constraint"} else inner)
        elif editable := _EDITABLE.match(line):
            found.append(_place(editable[1]))
        elif not re.match(r"--?[a-z]", line):  # other options name indexes: here it is the mirror
            found.append(_of_line(line, where, environments))
    return lock.merged(found)


def is_empty(text: str) -> bool:
    """Whether a file has no line but comments."""
    return not any(_logical_lines(text))


def of_argument(text: str, environments: Sequence[Environment]) -> Lock:
    """What a single requirement asks for. Raises InvalidRequirement."""
    found = _of_requirement(packaging.Requirement(text), frozenset(), environments)
    return replace(found, names=(text,), formats=("requirements",))


def _nested(path: Path, where: str, environments: Sequence[Environment], depth: int) -> Lock:
    if depth > _DEEPEST:
        raise LockError(
            f"{where}: more than {_DEEPEST} files lead to each other.", "Remove the -r that leads back."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LockError(f"{where}: {path}: {reason}", "Name a file that exists.") from error
    return read(path, text, environments, depth=depth)


def _as_constraints(found: Lock) -> Lock:
    """Lines that ask for nothing, and bound what others ask for."""
    pins = [Requirement(str(pin), constraint=True) for pin in found.pins]
    rest = [Requirement(each.text, constraint=True) for each in found.requirements]
    return Lock((), requirements=(*pins, *rest))


def _of_line(line: str, where: str, environments: Sequence[Environment]) -> Lock:
    hashes = frozenset((kind.lower(), value.lower()) for kind, value in _HASH.findall(line))
    text = _LINE_OPTIONS.sub("", _HASH.sub("", line)).strip()
    if _PLACE.match(text) and " @ " not in text:
        return _place(text)
    try:
        requirement = packaging.Requirement(text)
    except InvalidRequirement as error:
        raise LockError(f"{where}: {error}", "Write a line such as `flask==3.1` or `flask>=3`.") from error
    return _of_requirement(requirement, hashes, environments)


def _of_requirement(
    requirement: packaging.Requirement, hashes: Hashes, environments: Sequence[Environment]
) -> Lock:
    name = lock.normalised(requirement.name)
    marker = str(requirement.marker or "")
    chosen = tuple(each for each in environments if each.holds(marker))
    if not chosen:
        return Lock(())
    if requirement.url:
        is_file = requirement.url.startswith("file:")
        return Lock((), elsewhere=(Elsewhere(name, requirement.url, local=is_file),))
    if (version := _one_version(requirement)) is None:
        return Lock((), requirements=(Requirement(str(requirement)),))
    return Lock((), pins=(_pin(requirement, version, hashes, chosen),))


def _pin(
    requirement: packaging.Requirement, version: str, hashes: Hashes, environments: tuple[Environment, ...]
) -> Pin:
    return Pin(
        lock.normalised(requirement.name),
        version,
        hashes=hashes,
        extras=tuple(sorted(requirement.extras)),
        marker=str(requirement.marker or ""),
        environments=environments,
    )


def _one_version(requirement: packaging.Requirement) -> str | None:
    exact = [each.version for each in requirement.specifier if each.operator in {"==", "==="}]
    return exact[0] if len(exact) == 1 and "*" not in exact[0] else None


def _place(text: str) -> Lock:
    named = re.search(r"[#&]egg=([A-Za-z0-9._-]+)", text)
    last = text.partition(";")[0].strip().rstrip("/").rpartition("/")[2]
    name = named[1] if named else last or text
    local = "://" not in text or text.startswith("file:")
    return Lock((), elsewhere=(Elsewhere(name, text, local=local),))


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

"""Read requirements: files in the form of pip, and single ones such as `flask==3.1`."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging import requirements as packaging
from packaging.requirements import InvalidRequirement

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Elsewhere, Hashes, Lock, LockError, Pin, Requirement
from packhorse import urls

_HASH = re.compile(r"\s--hash[= ]\s*(\w+):([0-9a-fA-F]+)")
_LINE_OPTIONS = re.compile(r"\s--(?:config-settings?|global-option)[= ]\s*\S+")
_COMMENT = re.compile(r"(^|\s)#.*$")
_NESTED = re.compile(r"(-r|--requirement|-c|--constraint)[ =]*(\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]*(.+)")
_PLACE = re.compile(r"(?:\.{0,2}/|[A-Za-z][A-Za-z0-9+.-]*:/|.*\.(?:whl|tar\.gz|zip)(?:\s|;|$))")
_ENDINGS = (".txt", ".in", ".pip", ".lock")
_LARGEST = 50_000_000  # bytes of all files together that one leads to


def read(path: Path, text: str, environments: Sequence[Environment]) -> Lock:
    """The lock of a file and of those that it names. Raises LockError."""
    return _Reading(_project_folder(path), environments, _LARGEST).read(path, text)


def _project_folder(path: Path) -> Path:
    """The git repository that the file belongs to, or its folder.

    The current folder would not do: it is "/" in a service and may be a person's home or the mirror's folder.
    """
    folder = Path(os.path.realpath(path.absolute().parent))
    return next((each for each in (folder, *folder.parents) if os.access(each / ".git", os.F_OK)), folder)


@dataclass
class _Reading:
    """Files that lead to each other: each is read once, below `folder` only.

    The first one may be a stranger's. Lines of all others reach upstreams as names of projects: files that
    are no requirements by their endings, such as keys, are not read, and no error quotes them.
    """

    folder: Path
    environments: Sequence[Environment]
    left: int
    seen: set[tuple[Path, bool]] = field(default_factory=set)

    def read(self, path: Path, text: str, *, nested: bool = False, constraint: bool = False) -> Lock:
        """Read its lines; those of a `constraint` ask for nothing, and bound what others ask for."""
        self.seen.add((Path(os.path.realpath(path)), constraint))
        found: list[Lock] = []
        for number, line in _logical_lines(text):
            where = f"{path}:{number}"
            if other := _NESTED.match(line):
                bounds = constraint or other[1] in {"-c", "--constraint"}
                found.append(self._nested(path.parent / other[2], where, constraint=bounds))
            elif editable := _EDITABLE.match(line):
                found.append(_place(editable[1]))
            elif not re.match(r"--?[a-z]", line):  # other options name indexes: here it is the mirror
                found.append(_of_line(line, where, self.environments, quoted=not nested))
        return _as_constraints(lock.merged(found)) if constraint else lock.merged(found)

    def _nested(self, path: Path, where: str, *, constraint: bool) -> Lock:
        resolved = Path(os.path.realpath(path))
        if (resolved, constraint) in self.seen:
            return Lock(())
        if not resolved.is_relative_to(self.folder) or resolved.suffix not in _ENDINGS:
            raise LockError(
                f"{where}: {path} is no {', '.join(_ENDINGS)} file below {self.folder}.",
                "Move it there (a git repository counts as a whole), or write its lines into the first file.",
            )
        return self.read(path, self._text(resolved, where), nested=True, constraint=constraint)

    def _text(self, path: Path, where: str) -> str:
        try:
            # A named pipe would be waited for.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise LockError(f"{where}: {path} is no regular file.", "Name one.")
                content = file.read(self.left + 1)
            self.left -= len(content)
            if self.left < 0:
                raise LockError(
                    f"{where}: the files that lead to each other have more than {_LARGEST // 1_000_000} MB.",
                    "Name smaller ones.",
                )
            return lock.decoded(content)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8 or UTF-16"
            raise LockError(f"{where}: {path}: {reason}", "Name a file that exists.") from error


def is_empty(text: str) -> bool:
    """Whether a file has no line but comments."""
    return not any(_logical_lines(text))


def of_argument(text: str, environments: Sequence[Environment]) -> Lock:
    """The lock of a single requirement. Raises InvalidRequirement."""
    found = _of_requirement(lock.parse(text), frozenset(), environments)
    return replace(found, names=(urls.without_logins(text),), formats=("requirements",))


def _as_constraints(found: Lock) -> Lock:
    """Lines that ask for nothing, and bound what others ask for."""
    pins = [Requirement(str(pin), constraint=True) for pin in found.pins]
    rest = [Requirement(each.text, constraint=True) for each in found.requirements]
    return Lock((), requirements=(*pins, *rest))


def _of_line(line: str, where: str, environments: Sequence[Environment], *, quoted: bool) -> Lock:
    hashes = frozenset((kind.lower(), value.lower()) for kind, value in _HASH.findall(line))
    text = _LINE_OPTIONS.sub("", _HASH.sub("", line)).strip()
    if _PLACE.match(text) and " @ " not in text:
        return _place(text)
    try:
        requirement = lock.parse(text)
        return _of_requirement(requirement, hashes, environments)
    except InvalidRequirement as error:
        reason = urls.without_logins(str(error)) if quoted else "this is no requirement"
        raise LockError(f"{where}: {reason}", "Write a line such as `flask==3.1` or `flask>=3`.") from error


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


def _place(address: str) -> Lock:
    text = urls.without_logins(address)
    named = re.search(r"[#&]egg=([A-Za-z0-9._-]+)", text)
    last = text.partition(";")[0].strip().rstrip("/").rpartition("/")[2]
    name = named[1] if named else last or text
    local = "://" not in text or text.startswith("file:")
    return Lock((), elsewhere=(Elsewhere(name, text, local=local),))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, joined at a final backslash, each with the number of its first line."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        first = first if parts else number
        parts.append(_COMMENT.sub("", line))
        if parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            continue
        if joined := " ".join(parts).strip():
            yield first, joined
        parts = []
    if joined := " ".join(parts).strip():
        yield first, joined

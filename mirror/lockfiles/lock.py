"""Values of a lock: its pins, the requirements that it leaves open, and packages that no index has."""

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from packaging import requirements as packaging
from packaging.requirements import InvalidRequirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from mirror.lockfiles.environments import Environment
from packhorse import urls
from packhorse.errors import PackhorseError

Hashes = frozenset[tuple[str, str]]
"""Pairs such as ("sha256", "…hex…")."""


class LockError(PackhorseError):
    """A file that cannot be read as a lock."""


@dataclass(frozen=True)
class LockedFile:
    """A file that a lock names."""

    filename: str
    hashes: Hashes = frozenset()
    size: int | None = None


@dataclass(frozen=True)
class Pin:
    """A version of a project that a lock asks for, in `environments`."""

    project: str  # normalised (PEP 503)
    version: str
    files: tuple[LockedFile, ...] = ()  # empty: the lock names none
    hashes: Hashes = frozenset()  # of any of its files, where a lock has hashes without names
    extras: tuple[str, ...] = ()
    marker: str = ""
    source: str = ""  # URL of the index that the lock takes it from, where it says so
    environments: tuple[Environment, ...] = field(default=(), compare=False)
    exact: bool = False  # installers take a file that the lock names, whatever an index lists

    def __post_init__(self) -> None:
        """Raise InvalidRequirement for what is no name, version, extra or marker: uv reads it as a line.

        Forget the login of a URL.
        """
        object.__setattr__(self, "source", urls.without_logins(self.source))
        try:
            Version(self.version)
            for name in (self.project, *self.extras):
                canonicalize_name(name, validate=True)
            parse(self.requirement)
        except (InvalidVersion, InvalidName, InvalidRequirement) as error:
            raise InvalidRequirement(f"{self.project[:100]!r}: {error}") from error

    def __str__(self) -> str:
        return f"{self.project}=={self.version}"

    @property
    def is_bare(self) -> bool:
        """Whether it is a line such as `flask==3.1`: what it depends on may be missing beside it."""
        return not (self.files or self.hashes)

    @property
    def requirement(self) -> str:
        """The line that asks for it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.project}{extras}=={self.version}{marker}"


@dataclass(frozen=True)
class Requirement:
    """A requirement without one version, to be resolved; `constraint`: only bounds what others ask for."""

    text: str
    constraint: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidRequirement for another line, which could be an option of uv's."""
        if parse(self.text).url:
            raise InvalidRequirement(f"{self.text[:100]!r} names an address")


@dataclass(frozen=True)
class Elsewhere:
    """A package that comes from no index: `source` is such as "git https://example.com/demo"."""

    project: str
    source: str
    local: bool = False  # a folder or file beside the lock

    def __post_init__(self) -> None:
        """Forget the login of a URL."""
        object.__setattr__(self, "source", urls.without_logins(self.source))

    def __str__(self) -> str:
        return f"{self.project}: comes from {self.source}, not from an index"


@dataclass(frozen=True)
class Lock:
    """The pins and requirements of one or several files and arguments."""

    names: tuple[str, ...]  # the files and arguments
    formats: tuple[str, ...] = ()  # "uv.lock", "poetry.lock", …, "requirements"
    pins: tuple[Pin, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    requires_python: str = ""  # specifier of the one file, "" for several

    def only_pins(self) -> tuple[Pin, ...]:
        """The pins. Raises LockError when some requirement has no one version."""
        if wanted := [each.text for each in self.requirements if not each.constraint]:
            raise LockError(
                f"{', '.join(self.names)}: {wanted[0]} has no pinned version.",
                "Pin every line, for example with `uv pip compile --generate-hashes requirements.in`.",
            )
        return self.pins


def merged(locks: Iterable[Lock]) -> Lock:
    """All of `locks` as one; what several ask for is there once."""
    found = list(locks)
    pins: dict[Pin, tuple[Environment, ...]] = {}
    for pin in (pin for lock in found for pin in lock.pins):
        pins[pin] = tuple(dict.fromkeys((*pins.get(pin, ()), *pin.environments)))
    return Lock(
        tuple(name for lock in found for name in lock.names),
        tuple(dict.fromkeys(kind for lock in found for kind in lock.formats)),
        tuple(replace(pin, environments=where) for pin, where in pins.items()),
        tuple(dict.fromkeys(each for lock in found for each in lock.requirements)),
        tuple(dict.fromkeys(each for lock in found for each in lock.elsewhere)),
    )


def parse(text: str) -> packaging.Requirement:
    """A requirement of one line. Raises InvalidRequirement."""
    # Strings in markers and the ends of versions may have line breaks.
    if not text.replace("\t", " ").isprintable():
        raise InvalidRequirement(f"{text[:100]!r} has characters that cannot be printed")
    try:
        return packaging.Requirement(text)
    except RecursionError as error:
        raise InvalidRequirement("its marker is nested too deeply") from error


def decoded(content: bytes) -> str:
    """The text of a file as pip reads it: in UTF-8, or with a mark in UTF-16, as PowerShell writes it.

    Raises UnicodeDecodeError.
    """
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if marked else "utf-8-sig")


def normalised(name: str) -> str:
    """The name as indexes have it (PEP 503)."""
    return str(canonicalize_name(name))


def hash_of(text: str) -> tuple[str, str]:
    """The pair that "sha256:…" says. Raises ValueError."""
    kind, colon, digest = text.partition(":")
    if not (kind and colon and digest):
        raise ValueError(f"{text[:80]!r} is no hash such as sha256:…")
    return kind.lower(), digest.lower()


def hashes_of(texts: Iterable[str] | Mapping[str, str]) -> Hashes:
    """Hashes of a list of "sha256:…", or of a table. Raises ValueError."""
    if isinstance(texts, Mapping):
        return frozenset((kind.lower(), digest.lower()) for kind, digest in texts.items())
    return frozenset(hash_of(text) for text in texts)

"""Names and versions that a rule is about: "demo", "acme-*", "demo>=1,<2"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from mirror.plugin.policy.facts import FileFacts

# As _REQUIREMENT of mirror/policy/settings.py has it.
_REQUIREMENT = re.compile(r"([A-Za-z0-9*?._-]*[A-Za-z0-9*?])\s*(.*)", re.ASCII)


@dataclass(frozen=True)
class Named:
    """A name or pattern of projects, and the versions that are meant; without any, all are."""

    name: str  # normalised
    versions: SpecifierSet | None = None

    @classmethod
    def parse(cls, text: str) -> "Named":
        """Raises ValueError."""
        found = _REQUIREMENT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no name of a project")
        return cls(canonicalize_name(found[1]), SpecifierSet(found[2]) if found[2] else None)

    def has(self, project: str) -> bool:
        """Whether a normalised name is meant."""
        return fnmatchcase(project, self.name)

    def has_version(self, file: FileFacts) -> bool | None:
        """Whether the version of a file is meant; None when nobody knows."""
        if self.versions is None:
            return True
        version = file.version
        return None if version is None else _contains(self.versions, version)

    def __str__(self) -> str:
        return f"{self.name}{self.versions or ''}"


@lru_cache(maxsize=20_000)
def _contains(versions: SpecifierSet, version: Version) -> bool:
    """packaging takes 20 µs, and a page may have thousands of versions."""
    return versions.contains(version, prereleases=True)


def parse_all(texts: Iterable[str]) -> tuple[Named, ...]:
    """Raises ValueError."""
    if isinstance(texts, str):
        raise ValueError(f"{texts!r} is no list")  # noqa: TRY004 (as for all values that are wrong)
    return tuple(map(Named.parse, texts))


def those_of(names: Iterable[Named], project: str) -> tuple[Named, ...]:
    """The ones that mean `project`."""
    return tuple(named for named in names if named.has(project))

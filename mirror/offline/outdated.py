"""Compare the pins of locks with the newest versions that pages list for their environments."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from mirror.lockfiles import choice
from mirror.lockfiles.lock import Pin
from mirror.offline import refresh
from packhorse import filenames


@dataclass(frozen=True)
class Outdated:
    """A pin for which the index lists a newer version that its environments take."""

    project: str
    pinned: str
    newest: str
    since: str | None  # when the newest one was uploaded, as the upstream says

    def __str__(self) -> str:
        since = f" (since {self.since[:10]})" if self.since else ""
        return f"{self.project} {self.pinned}: {self.newest} is there{since}"


@dataclass(frozen=True)
class OutdatedReport:
    """The pins of locks that are outdated, and how many pins these have."""

    outdated: Sequence[Outdated]
    pins: int

    def as_json(self) -> dict[str, Any]:
        """The report for scripts; keys are only ever added."""
        return {"outdated": [vars(each) for each in self.outdated], "pins": self.pins}

    def as_lines(self) -> Iterator[str]:
        """The report for people."""
        yield from (f"outdated: {each}" for each in self.outdated)
        yield f"{len(self.outdated)} of {self.pins} pins are outdated"


def find(pins: Iterable[Pin], pages: Mapping[str, Mapping[str, Any]]) -> Iterator[Outdated]:
    """The pins of which `pages`, by project, list something newer, in the order of their names."""
    for pin in sorted(pins, key=lambda each: (each.project, each.version)):
        page = pages.get(pin.project)
        newest = _newest(pin, page["files"]) if page else None
        if newest:
            yield newest


def _newest(pin: Pin, listed: Iterable[Mapping[str, Any]]) -> Outdated | None:
    """The newest version that installers would choose instead: not yanked, no pre-release, one that fits."""
    pinned = Version(pin.version)
    by_version: dict[Version, list[Mapping[str, Any]]] = {}
    for file in listed:
        parsed = filenames.parse(file["filename"])
        if parsed and parsed.version > pinned and not choice.is_yanked(file):
            by_version.setdefault(parsed.version, []).append(file)
    for version in sorted(by_version, reverse=True):
        if (pinned.is_prerelease or not version.is_prerelease) and _fits(pin, version, by_version[version]):
            return Outdated(pin.project, pin.version, str(version), refresh.since(by_version[version]))
    return None


def _fits(pin: Pin, version: Version, files: list[Mapping[str, Any]]) -> bool:
    try:
        choice.choose(Pin(pin.project, str(version), environments=pin.environments), files)
    except choice.NoFileError:
        return False
    return True

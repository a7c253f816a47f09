"""Resolve what sdists need to be built, each set of requirements once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Lock, Pin
from mirror.offline import build_requirements, resolve
from mirror.offline.resolve import Place, Unresolved


@dataclass(frozen=True)
class Sdist:
    """An sdist that is here, with the environments that must build it."""

    path: Path
    builders: tuple[Environment, ...]


class BuildRequirements:
    """Build requirements, resolved at one place; they may be sdists that need others."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._asked: set[tuple[tuple[str, ...], Environment]] = set()

    def of(self, sdists: Iterable[Sdist]) -> tuple[tuple[Pin, ...], list[Unresolved]]:
        """The pins that `sdists` need and none before them, and the requirements that nothing fits."""
        pins: list[Pin] = []
        unresolved: list[Unresolved] = []
        for sdist in sdists:
            named = f"what {sdist.path.name} needs to be built"
            try:
                wanted = build_requirements.read(sdist.path) if sdist.builders else ()
            except ValueError as error:
                unresolved.append(Unresolved(named, str(error)))
                continue
            for environment in sdist.builders:
                if not wanted or (wanted, environment) in self._asked:
                    continue
                self._asked.add((wanted, environment))
                answer = resolve.resolve(wanted, environment, self._place)
                if isinstance(answer, Unresolved):
                    unresolved.append(Unresolved(named, str(answer)))
                else:
                    pins += answer
        return lock.merged([Lock((), pins=tuple(pins))]).pins, unresolved

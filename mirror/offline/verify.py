"""Tell whether locks would install from what is here alone: by the disk, without a question to anybody."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mirror.lockfiles import choice
from mirror.lockfiles.choice import NoFileError
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Lock, Pin
from mirror.offline import resolve, storage
from mirror.offline.builds import BuildRequirements, Sdist
from mirror.offline.resolve import Place
from mirror.offline.storage import StoredFiles
from packhorse import files, quantities


@dataclass(frozen=True)
class Checked:
    """A file that an install needs, or a pin or requirement that none is here for."""

    wanted: str  # the file, else the pin, or the requirement
    project: str = ""
    version: str = ""
    size: int = 0
    problem: str = ""  # empty: it is here, and whole

    def __str__(self) -> str:
        return f"{self.wanted}: {self.problem}" if self.problem else self.wanted

    def as_json(self) -> dict[str, str | None]:
        """For a report of what is missing."""
        return {
            "project": self.project or None,
            "version": self.version or None,
            "wanted": self.wanted,
            "reason": self.problem,
        }


@dataclass
class _Needed:
    """A file that is here, and the environments that take it."""

    pin: Pin
    path: Path
    hashes: Mapping[str, str]
    environments: list[Environment]


class Verification:
    """Checks locks against `here`: every file of a version, or those that installers take."""

    def __init__(self, here: StoredFiles, *, every: bool = False, builds: bool = False) -> None:
        self._here = here
        self._every = every
        self._builds = builds

    def run(self, found: Lock, environments: Sequence[Environment]) -> Iterator[Checked]:
        """Yield what an install needs, also to build sdists, with what is wrong with it."""
        for each in found.elsewhere:
            if not each.local:
                yield Checked(
                    each.project, each.project, problem=f"comes from {each.source}, not from an index"
                )
        with tempfile.TemporaryDirectory(prefix="packhorse-verify-") as folder:
            links = cache(lambda: _linked(Path(folder), self._here))
            place = Place(folder=links, builds=self._builds)
            pins, unresolved = resolve.pins(found, environments, place)
            builds = BuildRequirements(place)
            checked: set[Path] = set()
            while pins or unresolved:
                yield from (Checked(each.wanted, problem=each.reason) for each in unresolved)
                needed, missing = self._choose(pins)
                yield from missing
                needed = [each for each in needed if each.path not in checked]
                checked |= {each.path for each in needed}
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    results = list(pool.map(self._check, needed))
                yield from results
                whole = [each for each, result in zip(needed, results, strict=True) if not result.problem]
                sdists = [each for each in whole if each.path.suffix != ".whl"]
                pins, unresolved = builds.of(Sdist(each.path, tuple(each.environments)) for each in sdists)

    def _choose(self, pins: Iterable[Pin]) -> tuple[list[_Needed], list[Checked]]:
        needed: dict[Path, _Needed] = {}
        missing: dict[Checked, None] = {}
        for pin in pins:
            listed = list(self._listed(pin))
            for environment in pin.environments:
                one = replace(pin, environments=(environment,))
                try:
                    chosen = choice.choose(one, listed, every=self._every, where="this mirror")
                except NoFileError as error:
                    missing[Checked(str(pin), pin.project, pin.version, problem=str(error))] = None
                    continue
                for file in chosen:
                    known = needed.setdefault(file["path"], _Needed(pin, file["path"], file["hashes"], []))
                    known.environments.append(environment)
        return list(needed.values()), list(missing)

    def _listed(self, pin: Pin) -> Iterator[dict[str, Any]]:
        """The files of a pin that are here, as a page lists them."""
        hashes = pin.hashes.union(*(file.hashes for file in pin.files))
        digests = [digest for kind, digest in hashes if kind == "sha256"]
        for digest in digests:
            for path in self._here.of_hash(digest):
                yield {"filename": path.name, "hashes": {"sha256": digest}, "path": path}
        if not digests:
            for path in self._here.of_project(pin.project):
                yield {"filename": path.name, "hashes": {}, "path": path}

    def _check(self, needed: _Needed) -> Checked:
        path, pin = needed.path, needed.pin
        hashes = needed.hashes or storage.stated_hash(path)
        if hashes:
            problem = storage.problem(path, hashes, files.open_unnoticed)
        else:
            problem = storage.unhashed_problem(path)
        if not problem and not self._here.has_page(path, pin.project):
            problem = f"the page of {pin.project}, which lists it, is not here"
        return Checked(path.name, pin.project, pin.version, path.stat().st_size, problem)


def as_json(results: Sequence[Checked]) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    here, missing = [each for each in results if not each.problem], [each for each in results if each.problem]
    return {
        "installs": not missing,
        "files": len(here),
        "bytes": sum(each.size for each in here),
        "missing": [each.as_json() for each in missing],
    }


def as_text(results: Sequence[Checked]) -> str:
    """A sentence that counts the files that are here."""
    here = [each for each in results if not each.problem]
    return f"{len(here)} files with {quantities.shown(sum(each.size for each in here))} are here"


def _linked(folder: Path, here: StoredFiles) -> Path:
    """Let `folder` have all files that are here. Several threads may need it at once."""
    for path in here.all():
        with suppress(FileExistsError):
            (folder / path.name).symlink_to(path)
    return folder

"""Resolve requirements without pins to versions, with uv, against one index or a folder of files."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mirror.lockfiles import lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Lock, Pin
from packhorse import files, process

SILENCE = "120"  # seconds; the mirror may have to wait for its upstream
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)` because building from source is disabled")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")


@dataclass(frozen=True)
class Place:
    """A place to look for versions: an index, or nothing but the files in a folder."""

    index_url: str = ""
    folder: Callable[[], Path] | None = None  # makes the folder when it is needed first
    offline: bool = False  # the index asks no upstream: what it lacks at first it lacks for good
    builds: bool = False  # uv may build an sdist to learn what it depends on: this runs its author's program
    login: tuple[str, str] | None = field(default=None, repr=False)  # uv's, unless it runs such programs


@dataclass(frozen=True)
class Unresolved:
    """Requirements that nothing fits, with uv's explanation."""

    wanted: str
    reason: str
    needs_build: str = ""  # the project that has an sdist only

    def __str__(self) -> str:
        return f"{self.wanted}: {self.reason}"


def pins(
    found: Lock, environments: Sequence[Environment], place: Place
) -> tuple[tuple[Pin, ...], list[Unresolved]]:
    """The pins of a lock, with those that its requirements, and its lines without hashes, resolve to.

    Such a line may be one of a complete list, or of a short one, which pins not what it depends on. Several
    versions of a project are resolved apart: nothing installs both.
    """
    wanted = [each.text for each in found.requirements if not each.constraint]
    constraints = [each.text for each in found.requirements if each.constraint]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = []
        for environment in environments:
            here = [pin for pin in found.pins if environment in pin.environments]
            bounds = [*constraints, *(pin.requirement for pin in _one_version(here) if not pin.is_bare)]
            for number, pins in enumerate(_by_version(pin for pin in here if pin.is_bare)):
                asked = wanted if number == 0 else []
                if asked or pins:
                    running.append(pool.submit(_resolve_built, asked, pins, environment, place, bounds))
        resolved = [each.result() for each in running]
    locks = [Lock((), pins=each) for each in resolved if not isinstance(each, Unresolved)]
    locks.insert(0, found)
    return lock.merged(locks).pins, [each for each in resolved if isinstance(each, Unresolved)]


def _by_version(pins: Iterable[Pin]) -> list[list[Pin]]:
    """The pins with the first version of each project, then those with the second of some, and so on."""
    groups: list[list[Pin]] = [[]]
    versions: dict[str, list[str]] = {}
    for pin in pins:
        known = versions.setdefault(pin.project, [])
        if pin.version not in known:
            known.append(pin.version)
        number = known.index(pin.version)
        groups += [[]] if number == len(groups) else []
        groups[number].append(pin)
    return groups


def _one_version(pins: Sequence[Pin]) -> Iterator[Pin]:
    """The pins of projects that have one version among them: two are no bound that anything fits."""
    versions: dict[str, set[str]] = {}
    for pin in pins:
        versions.setdefault(pin.project, set()).add(pin.version)
    return (pin for pin in pins if len(versions[pin.project]) == 1)


def _resolve_built(
    wanted: Sequence[str],
    pins: Sequence[Pin],
    environment: Environment,
    place: Place,
    bounds: Sequence[str],
) -> tuple[Pin, ...] | Unresolved:
    """Resolve without those of the `pins` that have an sdist only: what they depend on is unknown."""
    while True:
        lines = [*wanted, *(pin.requirement for pin in pins)]
        found = resolve(lines, environment, place, bounds)
        if not isinstance(found, Unresolved) or found.needs_build not in {pin.project for pin in pins}:
            return found
        pins = [pin for pin in pins if pin.project != found.needs_build]


def resolve(
    wanted: Iterable[str], environment: Environment, place: Place, bounds: Iterable[str] = ()
) -> tuple[Pin, ...] | Unresolved:
    """The versions that `wanted` and what they depend on have in `environment`, within `bounds`."""
    lines = list(wanted)
    named = f"{', '.join(lines[:3])}{', …' if len(lines) > 3 else ''} for {environment}"
    if environment.uv_platform is None:
        return Unresolved(named, "uv does not resolve for this platform; name a lock, in which all is pinned")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as constraints:
        constraints.writelines(f"{line}\n" for line in bounds)
        constraints.flush()
        done = process.run(
            [*_command(environment, place), "--constraint", constraints.name, "-"],
            env={
                **process.installer_environment(place.index_url, files.home()),
                # The mirror runs on this machine.
                "NO_PROXY": "*",
                "no_proxy": "*",
                "UV_HTTP_TIMEOUT": SILENCE,
                **({"UV_HTTP_RETRIES": "0"} if place.offline else {}),
                **(_login(place.index_url, *place.login) if place.login and not place.builds else {}),
            },
            stdin="".join(f"{line}\n" for line in lines),
        )
    if done.status != 0:
        return _unresolved(named, done.stderr)
    matches = [_PIN.match(line) for line in done.stdout.splitlines()]
    return tuple(
        Pin(lock.normalised(each[1]), each[2], environments=(environment,)) for each in matches if each
    )


def _login(index_url: str, name: str, password: str) -> dict[str, str]:
    """The variables that give uv a login: neither arguments nor logs show it, as they would a URL's.

    They reach programs that uv starts, too.
    """
    return {
        "UV_DEFAULT_INDEX": f"mirror={index_url}",
        "UV_INDEX_MIRROR_USERNAME": name,
        "UV_INDEX_MIRROR_PASSWORD": password,
    }


def _command(environment: Environment, place: Place) -> list[str]:
    command = [
        *(sys.executable, "-Im", "uv", "pip", "compile", "--python", sys.executable),
        *("--no-cache", "--no-header", "--no-annotate", "--no-emit-index-url"),
    ]
    command += [] if place.builds else ["--no-build"]
    command += ["--no-index", "--find-links", str(place.folder())] if place.folder else []
    if environment.uv_platform:
        command += ["--python-platform", environment.uv_platform]
    return [*command, "--python-version", environment.pythons[0]]


def _unresolved(wanted: str, stderr: str) -> Unresolved:
    """uv's output from its error on, as one line."""
    said = stderr[stderr.find("error:") :].removeprefix("error:").replace("cause:", "")
    reason = " ".join(said.split())[:1000]
    if not (found := _NO_WHEEL.search(said)):
        return Unresolved(wanted, reason)
    without = (
        f"there is no wheel of {found[1]}, and only its author's program tells what the sdist depends on"
    )
    return Unresolved(wanted, f"{without}: --allow-builds runs it", lock.normalised(found[1]))

"""Read lock files and requirements: find out their format, and what they ask for in wanted environments."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from packaging.markers import InvalidMarker
from packaging.requirements import InvalidRequirement

from mirror.lockfiles import lock, pdm_lock, pipfile_lock, poetry_lock, pylock_toml, requirements, uv_lock
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Lock, LockError
from packhorse import toml, urls

LARGEST = 50_000_000
"""Bytes of a file that is read; a uv.lock of a thousand packages has 5 MB."""

_NAMES_OF_FILES = re.compile(r".*\.(?:toml|lock|txt|in|json|ya?ml|cfg|whl|zip|gz)", re.IGNORECASE)
_KNOWN = "a pylock.toml, requirements.txt, uv.lock, poetry.lock, pdm.lock or Pipfile.lock"
Format = Callable[[Any, Sequence[Environment]], Lock]


def read_all(arguments: Iterable[str], environments: Sequence[Environment]) -> Lock:
    """One lock of all `arguments`, each a file or a requirement such as `flask==3.1`.

    Raises PackhorseError that names the file and its line or package at fault.
    """
    return lock.merged([read(argument, environments) for argument in arguments])


def read_for(arguments: Iterable[str], environments: Sequence[Environment]) -> Lock:
    """As `read_all`, to install in each of `environments`. Raises PackhorseError when a lock excludes one."""
    locks = [read(argument, environments) for argument in arguments]
    for each in locks:
        for environment in environments:
            if not environment.takes_python(each.requires_python):
                raise LockError(
                    f"{each.names[0]} is for Python {each.requires_python}, not for {environment}.",
                    "Name the Pythons that install it: --python 3.13, perhaps several times.",
                )
    return lock.merged(locks)


def read(argument: str, environments: Sequence[Environment]) -> Lock:
    """The lock of a file, of standard input ("-") or of a requirement. Raises PackhorseError."""
    path = Path("/dev/stdin" if argument == "-" else argument)
    if not _exists(path):
        return _of_requirement(argument, environments)
    text = _text(path)
    try:
        data, kind, parse = _format(path, text)
        found = parse(data, environments) if parse else requirements.read(path, text, environments)
    except InvalidMarker as error:
        raise LockError(f"{path}: a marker: {urls.without_logins(str(error))}", _again(path)) from error
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        reason = urls.without_logins(str(error)) or "it is nested too deeply"
        raise LockError(f"{path}: {reason}", _again(path)) from error
    return replace(found, names=(argument,), formats=(kind,), requires_python=_requires_python(data))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL: a requirement, if anything
        return False


def _of_requirement(argument: str, environments: Sequence[Environment]) -> Lock:
    """A mistyped name of a file is none: no upstream is asked for a project of that name."""
    hint = f"Name {_KNOWN}, or a requirement such as flask==3.1."
    if _NAMES_OF_FILES.fullmatch(argument):
        raise LockError(f"{argument}: there is no such file.", hint)
    try:
        return requirements.of_argument(argument, environments)
    except InvalidRequirement as error:
        shown = urls.without_logins(argument)
        raise LockError(f"{shown}: there is no such file, and it is no requirement.", hint) from error


def _text(path: Path) -> str:
    if path.is_dir():
        raise LockError(
            f"{path}: this is a folder.",
            f"Name a lock in it; the project of this name is asked for by {path.name}>=0.",
        )
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise LockError(f"{path}: has more than {LARGEST // 1_000_000} MB.", f"Name {_KNOWN}.")
        return lock.decoded(content)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no text, and so no lock."
        raise LockError(f"{path}: {reason}", f"Name {_KNOWN}.") from error


def _format(path: Path, text: str) -> tuple[Any, str, Format | None]:
    """The content as data, the name of its format, and what reads it; None for requirements."""
    data = _json(text) if text.lstrip().startswith("{") else _toml(path, text)
    if data is None:
        if requirements.is_empty(text):
            raise LockError(
                f"{path}: there is nothing in it.",
                "Did the program that writes it fail? Or name another file.",
            )
        return text, "requirements", None
    given = data.get("metadata")
    metadata: dict[str, Any] = given if isinstance(given, dict) else {}
    if "_meta" in data:
        return data, "Pipfile.lock", pipfile_lock.read
    if "created-by" in data or ("lock-version" in data and "packages" in data):
        return data, "pylock.toml", pylock_toml.read
    if "lock-version" in metadata:
        return data, "poetry.lock", poetry_lock.read
    if "lock_version" in metadata:
        return data, "pdm.lock", pdm_lock.read
    if "version" in data and ("package" in data or "requires-python" in data):
        return data, "uv.lock", uv_lock.read
    raise LockError(
        f"{path}: this is no lock that can be read.",
        f"Name {_KNOWN}; `uv lock`, `poetry lock` or `uv pip compile` make one of a project.",
    )


def _requires_python(data: object) -> str:
    """The Pythons that a uv.lock or a pylock.toml as a whole is for."""
    found = data.get("requires-python") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _json(text: str) -> dict[str, Any]:
    data = json.loads(text)
    return data if isinstance(data, dict) else {}


def _toml(path: Path, text: str) -> dict[str, Any] | None:
    """The tables of a TOML file, None for a file that is none by its name and content."""
    try:
        return toml.parse(text) or None
    except tomllib.TOMLDecodeError:
        if path.suffix in {".toml", ".lock"}:
            raise
        return None


def _again(path: Path) -> str:
    return f"Make {path.name} again with the tool that it belongs to, or name another file."

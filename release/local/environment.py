"""Environment of processes on the developer's machine: of the shell, release.toml, .env, the virtualenv."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packhorse.errors import PackhorseError
from release.config import env_file, unchecked

ENV_FILE = ".env"
LARGEST = 1024 * 1024
"""Bytes of a file of variables; Linux starts no process with more (execve(2))."""


@dataclass(frozen=True)
class Environment:
    """The `variables` of every process, and the `virtualenv` whose programs go first (None: PATH alone)."""

    variables: dict[str, str]
    virtualenv: Path | None


def read(project: Path, chosen: Path | None, shell: Mapping[str, str], home: Path) -> Environment:
    """The environment for the project in folder `project`, started from a `shell` with these variables.

    `chosen`: a file of variables instead of .env, which may be missing. `home`: PACKHORSE_HOME, in which
    DATA_DIR is made. Raises PackhorseError.
    """
    brought = {**shell, **_of_target(project), **_of_file(chosen or project / ENV_FILE, needed=bool(chosen))}
    data = data_folder(project, home)
    if "DATA_DIR" not in brought:
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PackhorseError(
                f"{data}: {error.strerror or error}.", "Name another folder: DATA_DIR=… in .env"
            ) from error
    return compose(project, brought, data)


def data_folder(project: Path, home: Path) -> Path:
    """The default DATA_DIR of the project. Not inside it: hatchling packs what lies there into sdists."""
    path = project.resolve()
    return home / "local-data" / f"{path.name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def compose(project: Path, brought: Mapping[str, str], data: Path) -> Environment:
    """The environment that adds to `brought` what servers set: the virtualenv, DATA_DIR, PYTHONUNBUFFERED."""
    variables = {"PYTHONUNBUFFERED": "1", "DATA_DIR": str(data), **brought}
    active = brought.get("VIRTUAL_ENV")
    places = [project / ".venv", *([Path(active)] if active else [])]
    virtualenv = next((place for place in places if (place / "bin" / "python").exists()), None)
    if virtualenv:
        variables |= {
            "VIRTUAL_ENV": str(virtualenv),
            "PATH": f"{virtualenv / 'bin'}:{brought.get('PATH') or os.defpath}",
        }
        variables.pop("PYTHONHOME", None)  # as `activate` does
    return Environment(variables, virtualenv)


def _of_file(path: Path, *, needed: bool) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        if not needed:
            return {}
        raise PackhorseError(f"{path}: there is no such file.", "Name another one: --env-file FILE") from None
    except OSError as error:
        raise PackhorseError(f"{path}: {error.strerror or error}.", "It has lines NAME=VALUE.") from error
    if len(data) > LARGEST or b"\0" in data:
        raise PackhorseError(
            f"{path}: this is no file of variables: it has a NUL, or more than 1 MB.",
            "It has lines NAME=VALUE.",
        )
    return env_file.parse(data, str(path))


def _of_target(project: Path) -> dict[str, str]:
    """`env` of [targets.local] in release.toml; the rest of that file may be wrong."""
    found = unchecked.read(project)
    targets = found.tables.get("targets")
    local = targets.get("local") if isinstance(targets, dict) else None
    if not local:
        return {}
    from packhorse import settings
    from release.config.target.target import Target

    return dict(settings.parse(Target, local, f"{found.where}: targets.local").env)

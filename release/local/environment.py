"""Environment of processes on the developer's machine: of the shell, release.toml, .env, the virtualenv."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packhorse.errors import PackhorseError
from release.config import env_file, unchecked

ENV_FILE = ".env"
DATA_FOLDER = ".data"
LARGEST = 1024 * 1024
"""Bytes of a file of variables; Linux starts no process with more (execve(2))."""


@dataclass(frozen=True)
class Environment:
    """The `variables` of every process, and the `virtualenv` whose programs go first (None: PATH alone)."""

    variables: dict[str, str]
    virtualenv: Path | None


def read(project: Path, chosen: Path | None, shell: Mapping[str, str]) -> Environment:
    """The environment for the project in folder `project`, started from a `shell` with these variables.

    `chosen`: a file of variables instead of .env, which may be missing. Raises PackhorseError.
    """
    brought = {**shell, **_of_target(project), **_of_file(chosen or project / ENV_FILE, needed=bool(chosen))}
    return compose(project, brought)


def compose(project: Path, brought: Mapping[str, str]) -> Environment:
    """The environment that adds to `brought` what servers set: the virtualenv, DATA_DIR, PYTHONUNBUFFERED."""
    variables = {"PYTHONUNBUFFERED": "1", "DATA_DIR": str(project / DATA_FOLDER), **brought}
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


def make_data_folder(project: Path, environment: Environment) -> None:
    """Make the default DATA_DIR, which git ignores. Another one is for the user to make."""
    folder = project / DATA_FOLDER
    if environment.variables["DATA_DIR"] != str(folder):
        return
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise PackhorseError(
            f"{folder}: {error.strerror or error}.", "Name another folder: DATA_DIR=… in .env"
        ) from error


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
    from release.config.release_toml import Target

    return dict(settings.parse(Target, local, f"{found.where}: targets.local").env)

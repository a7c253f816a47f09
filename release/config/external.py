"""Read variables that a deploy brings along: from an encrypted file, or from what a command prints."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from packhorse import process
from packhorse.errors import PackhorseError
from release.config import env_file
from release.config.release_toml import ReleaseConfig
from release.host.formats import variables

AGE_KEYS = Path("~/.config/sops/age/keys.txt")
"""Path of keys of age, as sops has it, unless SOPS_AGE_KEY_FILE names another file."""
TIMEOUT = 300.0
"""Seconds for a command, which may ask its user."""


class Read(Protocol):
    """Runs a command to its end, with our terminal: process.read."""

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        """Its status, and what it wrote to stdout."""


def read(project: Path, name: str, settings: ReleaseConfig, run: Read = process.read) -> dict[str, str]:
    """The variables for target `name` of the project: of its command, and of its `secrets`, which win.

    Raises PackhorseError, which never has anything of what they print to stdout.
    """
    target = settings.target(name)
    environment = {**os.environ, "PACKHORSE_APP": settings.app, "PACKHORSE_TARGET": name}
    found: dict[str, str] = {}
    if command := target.config_command or settings.config.command:
        found |= _variables(_output(command, project, environment, run), command[0])
    if target.secrets:
        path = project / target.secrets
        if not path.is_file():
            raise PackhorseError(
                f"There is no file {path}.", f"Make it, or correct targets.{name}.secrets in release.toml."
            )
        output = _output(decryption(path, os.environ), project, environment, run)
        found |= _variables(output, target.secrets)
    variables.check(found)
    return found


def decryption(path: Path, environment: Mapping[str, str]) -> list[str]:
    """The command that decrypts `path`: age for names that end in .age, sops for all others.

    They find keys by themselves, and age where sops does.
    """
    if path.suffix != ".age":
        return ["sops", "--decrypt", "--output-type", "json", str(path)]
    keys = Path(environment.get("SOPS_AGE_KEY_FILE") or AGE_KEYS).expanduser()
    return ["age", "--decrypt", *(["--identity", str(keys)] if keys.exists() else []), str(path)]


def _output(command: Sequence[str], project: Path, environment: Mapping[str, str], run: Read) -> bytes:
    try:
        status, output = run(command, cwd=project, env=environment, timeout=TIMEOUT)
    except (FileNotFoundError, PermissionError) as error:
        raise PackhorseError(
            f"There is no program {command[0]}, which has variables of this target.",
            "Install it, or correct release.toml.",
        ) from error
    if status:
        what = f"did not end within {TIMEOUT:g} s" if status == process.TIMED_OUT else f"failed ({status})"
        raise PackhorseError(f"{command[0]} {what}.", "What it says is above; nothing was deployed.")
    return output


def _variables(output: bytes, where: str) -> dict[str, str]:
    """The variables in a JSON object, or in lines NAME=VALUE."""
    if not output.lstrip().startswith(b"{"):
        return env_file.parse(output, where)
    try:
        table: dict[str, Any] = json.loads(output)
    except ValueError:  # its message has no place here: it may quote a secret
        raise PackhorseError(
            f"{where}: this is no JSON.", "Let it be an object, or lines NAME=VALUE."
        ) from None
    for name, value in table.items():
        if not isinstance(value, str | int | float):
            kind = "null" if value is None else "a list or an object"
            raise PackhorseError(
                f"{where}: {name} is {kind}, and a variable is text.",
                "Write it as text, such as JSON in quotes.",
            )
    # As YAML and JSON write it: true, 8000.
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in table.items()}

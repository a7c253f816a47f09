"""Read release.toml and pyproject.toml without checking them, to start agents before pydantic is loaded.

To import pydantic and to check the settings takes as long as an agent's start: both happen at the same time.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packhorse import toml
from packhorse.errors import PackhorseError

# A destination of ssh: a name of DNS or of ~/.ssh/config, or an address. Never an option, never with a user.
HOST_NAME = r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*"
LOGIN_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"

# As pyenv, uv and Heroku write a version.


@dataclass(frozen=True)
class ProjectFiles:
    """Unchecked settings of a project: its `name`, and the `tables` of release.toml, read from `where`.

    `defaults`: what other files say for keys that are not there.

    `name` is normalised; a folder without a project lends its own name (deploy needs no sources).
    """

    name: str
    tables: dict[str, Any]
    where: str
    defaults: dict[str, Any] = field(default_factory=dict)


def read(project: Path) -> ProjectFiles:
    """Read the files of the project in folder `project`. Raises PackhorseError."""
    own, pyproject = project / "release.toml", project / "pyproject.toml"
    content = toml.read(pyproject)
    name = str(content.get("project", {}).get("name") or project.resolve().name)
    name = re.sub(r"[-_.]+", "-", name).lower()  # as PEP 503 has it; packaging takes 15 ms to import
    table = content.get("tool", {}).get("release")
    version = _python(project)
    defaults = {"python": version} if version else {}
    if table is None:
        return ProjectFiles(name, {"app": name, **toml.read(own)}, str(own), defaults)
    if own.exists():
        raise PackhorseError(
            f"{own} and [tool.release] in {pyproject} both configure this project.",
            "Keep one of the two.",
        )
    return ProjectFiles(name, {"app": name, **table}, f"{pyproject}: tool.release", defaults)


def _python(project: Path) -> str | None:
    """The Python that .python-version (pyenv, uv) or runtime.txt (Heroku) asks for, such as 3.12.

    Older ones than Packhorse runs are left out: such files also serve other tools.
    """
    for name in (".python-version", "runtime.txt"):
        try:
            lines = (project / name).read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            continue
        matched = (
            re.fullmatch(r"((c?python-)?)(?P<version>3\.(1[1-9]|[2-9]\d))(\.\d+)?", lines[0])
            if lines
            else None
        )
        if matched:
            return matched["version"]
    return None

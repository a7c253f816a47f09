"""release.toml (or [tool.release] in pyproject.toml) in, its tables as they stand there out, unchecked.

release_toml.py checks them; to import what it does that with takes longer than everything here.
"""

import re
from pathlib import Path
from typing import Any

from packhorse import toml
from packhorse.errors import PackhorseError

# A destination of ssh: a name of DNS or of ~/.ssh/config, or an address. Never an option, never with a user.
HOST_NAME = r"^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$"


def read(project: Path) -> tuple[dict[str, Any], str]:
    """What the project in folder `project` says, with its name, and where it says so.

    Raises PackhorseError.
    """
    own, pyproject = project / "release.toml", project / "pyproject.toml"
    table = toml.read(pyproject).get("tool", {}).get("release")
    if table is None:
        table, where = toml.read(own), str(own)
    elif own.exists():
        raise PackhorseError(
            f"{own} and [tool.release] in {pyproject} both configure this project.",
            "Keep one of the two.",
        )
    else:
        where = f"{pyproject}: tool.release"
    return {"app": project_name(project), **table}, where


def project_name(project: Path) -> str:
    """The project's own name, normalised; a folder without one lends its own (deploy needs no sources)."""
    table = toml.read(project / "pyproject.toml").get("project", {})
    name = str(table.get("name") or project.resolve().name)
    return re.sub(r"[-_.]+", "-", name).lower()  # as PEP 503 has it; packaging takes 15 ms to import

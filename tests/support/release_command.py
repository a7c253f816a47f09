"""Run the `release` command: its JSON output, or its error and hint."""

import json
from pathlib import Path
from typing import Any

from tests.support.servers import BIN, Mirror, run_command


def release_json(mirror: Mirror, folder: Path, *arguments: str | Path, **more: str) -> dict[str, Any]:
    """The output of `release … --json` for the project in `folder`; `more` adds to the environment."""
    environment = {**mirror.environment, **more}
    done = run_command(BIN / "release", *arguments, "--json", env=environment, cwd=folder)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def refused(mirror: Mirror, folder: Path, *arguments: str | Path, **more: str) -> str:
    """The error and hint of a `release` that fails, which are always its last two lines."""
    environment = {**mirror.environment, **more}
    done = run_command(BIN / "release", *arguments, env=environment, cwd=folder, status=1)
    error, hint = done.stderr.strip().splitlines()[-2:]
    assert error.startswith("Error: ")
    assert hint.startswith("Hint: ")
    assert "Traceback" not in f"{error}{hint}"
    return done.stderr


def install(mirror: Mirror, installer: str, venv: Path, project: str) -> Path:
    """Install `project` from company/dev into a new `venv` by "pip" or "uv"; returns the venv's Python."""
    url = mirror.index_url("company/dev")
    mirror.run(BIN / "uv", "venv", "--seed", "--default-index", url, venv)
    python = venv / "bin" / "python"
    if installer == "uv":
        mirror.run(BIN / "uv", "pip", "install", "--python", python, "--index-url", url, project)
    else:
        mirror.run(python, "-m", "pip", "install", "--index-url", url, project)
    return python

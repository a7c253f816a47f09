"""Read a project folder: pyproject.toml, dependencies, git commit."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from packhorse import process, toml
from packhorse.errors import PackhorseError
from packhorse.process import Finished, Runner
from release.context import Context
from release.host.formats import lockfile

# What builds leave in a folder that does not ignore it. The lock is not among the sources of a build:
# its own hash is in the manifest.
_NOT_SOURCES = (
    f":(exclude){lockfile.NAME}",
    ":(exclude)dist",
    ":(exclude)build",
    ":(exclude,glob)**/*.egg-info/**",
    ":(exclude,glob)**/__pycache__/**",
)
LONG_AGO = 315532800  # 1980-01-01, the first day of the zip format: the time of files without a commit


@dataclass(frozen=True)
class Commit:
    """Commit of a build and its committer, None outside a git repository.

    `epoch`: seconds, the time of every file.
    """

    commit: str | None
    dirty: bool | None
    epoch: int
    committer: str | None = None


@dataclass(frozen=True)
class LockInputs:
    """Input of a lock: requirement lines, and the Pythons that the project allows."""

    dependencies: tuple[str, ...]
    requires_python: str | None


def pyproject(folder: Path) -> dict[str, Any]:
    """The content of the project's pyproject.toml. Raises PackhorseError when there is none."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        raise PackhorseError(
            f"{folder}: there is no pyproject.toml.",
            "Run this in a project's folder, or name it: release -C DIR",
        )
    return toml.read(path)


def version(folder: Path) -> str | None:
    """The version in pyproject.toml; None without one, as where the build computes it."""
    if not (folder / "pyproject.toml").is_file():
        return None
    found = pyproject(folder).get("project", {}).get("version")
    return str(found) if found else None


def lock_inputs(folder: Path, context: Context) -> LockInputs:
    """The dependencies as pyproject.toml has them, else as the project's build backend computes them."""
    table = pyproject(folder).get("project", {})
    if table and not {"dependencies", "requires-python"} & set(table.get("dynamic", [])):
        inputs = LockInputs(tuple(table.get("dependencies", [])), table.get("requires-python"))
        _refuse_own_name(str(table.get("name", "")), inputs.dependencies)
        return inputs
    command = [sys.executable, "-Im", "build", "--metadata", "--quiet", "--installer", "uv", str(folder)]
    done = context.run(command, env=context.environment)
    if done.status != 0:
        raise broken_backend(folder, done)
    metadata = json.loads(done.stdout)
    inputs = LockInputs(tuple(metadata.get("requires_dist", [])), metadata.get("requires_python"))
    _refuse_own_name(str(metadata.get("name", "")), inputs.dependencies)
    return inputs


def _refuse_own_name(name: str, requirements: Iterable[str]) -> None:
    """Raise PackhorseError for a project that is called as a package that it needs.

    Its first upload would reserve the name, and hide that package from everybody.
    """
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # who resolves the dependencies says so
        # A project may ask for extras of its own: shop[postgres].
        if canonicalize_name(requirement.name) == canonicalize_name(name) and not requirement.extras:
            raise PackhorseError(
                f"The project has the name of a package that it needs: {requirement.name}.",
                f'Call it another name in [project], such as name = "{canonicalize_name(name)}-server".',
            )


def broken_backend(folder: Path, done: Finished) -> PackhorseError:
    """The error for `done`, a run of the build backend that failed."""
    return process.failure(
        done,
        f"The build backend of {folder} failed.",
        "The output above names the cause; check [build-system] in pyproject.toml.",
    )


def commit(folder: Path, run: Runner) -> Commit:
    """The commit that last changed `folder`, and whether anything was changed since.

    The last change of the folder, not of the repository around it: a commit elsewhere does not make
    another artifact. $SOURCE_DATE_EPOCH, if set, is the time of every file.
    """
    head = _git(folder, run, "log", "-1", "--format=%H %ct %cn <%ce>", "--", ".")
    commit, seconds, committer = [*head.split(" ", 2), "", "", ""][:3]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or seconds or LONG_AGO)
    if not commit:
        return Commit(None, None, epoch)
    dirty = bool(_git(folder, run, "status", "--porcelain", "--", ".", *_NOT_SOURCES))
    return Commit(commit, dirty, epoch, committer)


def files(folder: Path, run: Runner) -> list[str]:
    """Paths of the project's files, relative to `folder`, with "/": what git knows or would add; else all."""
    listed = _git(folder, run, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    if listed:
        return [path for path in listed.split("\0") if (folder / path).is_file()]
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not Path(place, name, "pyvenv.cfg").exists()]
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += (Path(place, name).relative_to(folder).as_posix() for name in names)
    return found


def _git(folder: Path, run: Runner, *arguments: str) -> str:
    """Run git; "" when there is no git, no repository or no commit."""
    try:
        done = run(["git", "-C", str(folder), *arguments], env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        return ""
    if done.status == 0:
        return done.stdout.strip()
    if "not a git repository" in done.stderr or "does not have any commits" in done.stderr:
        return ""
    raise process.failure(
        done, f"git failed in {folder} (status {done.status}).", "The output above names the cause."
    )

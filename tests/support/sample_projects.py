"""Small projects of every layout and build backend, each in its own git repository, for `release build`."""

from collections.abc import Callable
from pathlib import Path

from tests.support.servers import run_command

Make = Callable[[Path, str], None]

BACKENDS = {
    "setuptools": 'requires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"',
    "scm": 'requires = ["setuptools>=80", "setuptools-scm>=8"]\nbuild-backend = "setuptools.build_meta"',
    "flit": 'requires = ["flit_core>=3.12,<4"]\nbuild-backend = "flit_core.buildapi"',
    "hatchling": 'requires = ["hatchling"]\nbuild-backend = "hatchling.build"',
}


def pyproject(name: str, backend: str, *, version: str = "0.1.0", more: str = "") -> str:
    """The text of a pyproject.toml whose project needs one small package of the upstream."""
    stated = 'dynamic = ["version"]' if backend == "scm" else f'version = "{version}"'
    return (
        f'[build-system]\n{BACKENDS[backend]}\n\n[project]\nname = "{name}"\n{stated}\n'
        'description = "A test"\nreadme = "README.md"\n'
        f'requires-python = ">=3.11"\ndependencies = ["itsdangerous"]\n\n{more}'
    )


def flat(folder: Path, name: str) -> None:
    """A package beside pyproject.toml, with a static file that git ignores (made by a front-end build)."""
    module = folder / name.replace("-", "_")
    _write(folder, name, "setuptools", f'[tool.setuptools]\npackages = ["{module.name}"]\n')
    folder.joinpath("MANIFEST.in").write_text(f"graft {module.name}\n")
    with folder.joinpath(".gitignore").open("a") as ignored:
        ignored.write("bundle.js\n")
    _package(module)
    module.joinpath("bundle.js").write_text("built before\n")


def src(folder: Path, name: str) -> None:
    """A package below src/, found by setuptools."""
    _write(folder, name, "setuptools", "")
    _package(folder / "src" / name.replace("-", "_"))


def flit(folder: Path, name: str) -> None:
    """A project that flit builds."""
    _write(folder, name, "flit", "")
    _package(folder / name.replace("-", "_"))


def hatchling(folder: Path, name: str) -> None:
    """A project that hatchling builds."""
    _write(folder, name, "hatchling", "")
    _package(folder / name.replace("-", "_"))


def scm(folder: Path, name: str) -> None:
    """A project whose version is the tag of the repository it lies in."""
    module = name.replace("-", "_")
    _write(folder, name, "scm", f'[tool.setuptools]\npackages = ["{module}"]\n\n[tool.setuptools_scm]\n')
    _package(folder / module)


def repository(folder: Path, make: Make, name: str) -> Path:
    """A project of kind `make` in `folder`, committed and tagged v0.1.0."""
    folder.mkdir(parents=True)
    make(folder, name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    git(folder, "tag", "v0.1.0")
    return folder


def commit(folder: Path) -> None:
    """Commit everything, at a time that is not now."""
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "a change", "--date", "2024-05-06T07:08:09Z")


def git(folder: Path, *arguments: str) -> str:
    """What git prints, with nobody's settings."""
    who = {
        f"GIT_{role}_{field}": "t@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for field in ("NAME", "EMAIL")
    }
    environment = {
        **who,
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(folder),
        "GIT_COMMITTER_DATE": "2024-05-06T07:08:09Z",
    }
    return run_command("git", *arguments, env=environment, cwd=folder).stdout.strip()


def _write(folder: Path, name: str, backend: str, more: str) -> None:
    folder.joinpath("pyproject.toml").write_text(pyproject(name, backend, more=more))
    folder.joinpath("README.md").write_text("A test.\n")
    folder.joinpath(".gitignore").write_text("dist/\n*.egg-info/\n")
    folder.joinpath("Procfile").write_text("web: python -m http.server\n")


def _package(module: Path) -> None:
    module.mkdir(parents=True)
    module.joinpath("__init__.py").write_text(
        '"""A test."""\n\nimport itsdangerous\n\nMADE_BY = itsdangerous\n'
    )

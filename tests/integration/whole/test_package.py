"""Packhorse as others install it: its wheel and sdist hold every module, and what provisions servers."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_OURS = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, with release/ansible as the link that it is."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("build") / "checkout", symlinks=True, ignore=NOT_OURS
    )


@pytest.fixture(scope="module")
def sources(checkout: Path) -> set[str]:
    """Every file that has to be in the wheel, as it is named there."""
    modules = [
        path for name in ("packhorse", "mirror", "release") for path in (checkout / name).rglob("*.py")
    ]
    provisioning = [path for path in (checkout / "ansible").rglob("*") if path.is_file()]
    return {str(path.relative_to(checkout)) for path in modules if "ansible" not in path.parts} | {
        f"release/{path.relative_to(checkout)}" for path in provisioning
    }


def build(folder: Path, *kinds: str) -> Path:
    """The folder with what `python -m build` makes in `folder`."""
    outdir = folder / f"dist{''.join(kinds)}"
    command = [sys.executable, "-Im", "build", "--no-isolation", *kinds, "--outdir", str(outdir), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return outdir


def in_wheel(outdir: Path) -> set[str]:
    """The files of the wheel in `outdir` without those that say what it is."""
    (wheel,) = outdir.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_every_module_and_what_provisions_servers(checkout: Path, sources: set[str]) -> None:
    """A package that a list in pyproject.toml had forgotten would be missing only where it was installed."""
    assert in_wheel(build(checkout, "--wheel")) == sources


def test_the_sdist_makes_the_same_wheel(checkout: Path, sources: set[str]) -> None:
    """release/ansible is a link in the checkout and a folder in the sdist: both lead to the same files."""
    outdir = build(checkout)
    assert in_wheel(outdir) == sources
    (sdist,) = outdir.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert sources | {"CHANGELOG.md", "Makefile", "requirements-dev.lock", "tests/conftest.py"} <= names


def test_a_new_package_is_found(checkout: Path) -> None:
    """Nobody has to name it anywhere."""
    added = checkout / "release" / "host" / "added" / "__init__.py"
    added.parent.mkdir()
    added.write_text('"""Added."""\n')
    assert "release/host/added/__init__.py" in in_wheel(build(checkout, "--wheel"))

"""Which module may import what: the layers of pyproject.toml refuse whatever has no place among them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("packhorse", "mirror", "release")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our sources without what provisions servers, with the contracts of import-linter."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "ansible"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> tuple[int, str]:
    """The exit status of import-linter in `folder`, and what it printed, in one line."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    env = os.environ | {"COLUMNS": "500"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, " ".join(done.stdout.split())


def test_a_module_or_package_without_a_place_among_the_layers_fails_the_linter(copy: Path) -> None:
    """A list of what is forbidden had forgotten release.options; a list of places cannot forget a module."""
    assert lint_imports(copy)[0] == 0
    added = ["packhorse/added.py", "mirror/added.py", "mirror/plugin/added.py", "release/added.py"]
    for path in map(Path, [*added, "release/host/added/__init__.py", "release/host/added/module.py"]):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text('"""Added."""\n')
    status, output = lint_imports(copy)
    assert status == 1
    for container in ("packhorse", "mirror", "mirror.plugin", "release", "release.host"):
        assert f"The following modules are not listed as layers: - {container}.added " in output


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("release/host/disk/journal.py", "from release.cli import main"),
        ("release/host/runtime/shim.py", "from release.host.disk import layout"),
        ("release/host/formats/procfile.py", "from packhorse import files"),
        ("release/host/commands/plan.py", "from packhorse import settings"),
        ("mirror/plugin/simple/negotiate.py", "from mirror.plugin.upstream import client"),
        ("mirror/server.py", "from mirror.plugin import compat"),
        ("mirror/api.py", "from release import index"),
    ],
)
def test_an_import_against_the_layers_fails_the_linter(copy: Path, module: str, statement: str) -> None:
    """Each of these would take away what a part is kept apart for, such as an agent without click."""
    path = copy / module
    path.write_text(f"{path.read_text('utf-8')}\n{statement}\n", "utf-8")
    assert lint_imports(copy)[0] == 1

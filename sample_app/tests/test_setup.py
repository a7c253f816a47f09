"""setup.py: hashed names of static files. A build has setuptools and libsass; here both are stood in for."""

import hashlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SETUP = Path(__file__).parents[1] / "setup.py"
Build = Callable[..., None]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """The folder of the application's static files, in a checkout without any."""
    (tmp_path / "scss").mkdir()
    (tmp_path / "scss/style.scss").touch()
    folder = tmp_path / "sample_app/static"
    (folder / "img").mkdir(parents=True)
    return folder


@pytest.fixture
def build(static: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """`build_static` of a copy of setup.py in that checkout."""
    modules: dict[str, dict[str, Any]] = {
        "setuptools": {"setup": lambda **_: None},
        "setuptools.command": {},
        "setuptools.command.build_py": {"build_py": object},
        "setuptools.command.sdist": {"sdist": object},
        "sass": {"compile": lambda **_: "a{}"},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    copy = static.parents[1] / "setup.py"
    copy.write_text(SETUP.read_text())
    made: Build = runpy.run_path(str(copy))["build_static"]
    return made


def names(static: Path) -> list[str]:
    """All files below the folder."""
    return sorted(path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file())


def test_files_get_hashed_names_in_folders_too_and_lose_them_again(static: Path, build: Build) -> None:
    """Also one without a suffix. A file whose own name looks like a hashed one is no copy."""
    own = ["LICENSE", "img/logo.svg", "report.202601010000.pdf", "style.css"]
    for name in own:
        (static / name).write_text(name)
    build(hashed=True)
    made = json.loads((static / "manifest.json").read_text())
    assert sorted(made) == own
    assert made["style.css"] == f"style.{hashlib.sha256(b'a{}').hexdigest()[:12]}.css"
    assert made["img/logo.svg"].startswith("img/logo.")
    assert names(static) == sorted([*own, "manifest.json", *made.values()])
    build(hashed=True)
    assert names(static) == sorted([*own, "manifest.json", *made.values()])
    build(hashed=False)
    assert names(static) == own

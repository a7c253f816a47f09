"""The promises of release.config.unchecked."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from packhorse import toml
from release.config import unchecked


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command needs the project's name and its settings: both come from one reading."""
    read: list[str] = []
    original = toml.read

    def reading(path: Path) -> dict[str, Any]:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(toml, "read", reading)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "My_Shop"\n')
    (tmp_path / "release.toml").write_text('index = "https://pypi.example.com/company/dev"\n')
    found = unchecked.read(tmp_path)
    assert (found.name, found.tables["app"], found.where) == (
        "my-shop",
        "my-shop",
        f"{tmp_path}/release.toml",
    )
    assert read == ["pyproject.toml", "release.toml"]


def test_a_folder_without_a_project_lends_its_name(tmp_path: Path) -> None:
    """Whoever deploys needs no sources."""
    folder = tmp_path / "My_Shop"
    folder.mkdir()
    assert unchecked.read(folder).name == "my-shop"


def test_agents_start_before_pydantic_is_loaded() -> None:
    """To load it takes as long as an agent's start: that is why settings are read twice, first unchecked."""
    modules = "release.config.unchecked, release.agents.destinations"
    script = f"import sys, {modules}; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)

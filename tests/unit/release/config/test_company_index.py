"""The promises of release.config.company_index."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import company_index, release_toml
from release.config.release_toml import ReleaseConfig


def load(folder: Path, text: str = "") -> ReleaseConfig:
    """The settings of a release.toml in `folder`."""
    folder.joinpath("release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_the_mirror_of_this_machine_is_the_default_index(tmp_path: Path) -> None:
    """After `mirror init` a project needs no configuration at all."""
    mirror = tmp_path / "home" / "mirror"
    mirror.mkdir(parents=True)
    mirror.joinpath("credentials.json").write_text('{"url": "http://127.0.0.1:4040", "users": {}}')
    loaded = load(tmp_path)
    assert company_index.of_project(loaded, tmp_path / "home") == "http://127.0.0.1:4040/company/dev"
    assert company_index.simple_url("http://h/a/b") == "http://h/a/b/+simple/"


def test_without_any_index_the_error_says_what_to_do(tmp_path: Path) -> None:
    """The first run on a fresh machine meets exactly this."""
    with pytest.raises(PackhorseError) as caught:
        company_index.of_project(load(tmp_path), tmp_path / "home")
    assert "mirror init" in caught.value.hint

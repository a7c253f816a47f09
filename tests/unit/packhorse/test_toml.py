"""The promises of packhorse.toml."""

from pathlib import Path

import pytest

from packhorse import toml
from packhorse.errors import PackhorseError


def test_a_file_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    """Everything has a default."""
    assert toml.read(tmp_path / "mirror.toml") == {}


def test_bad_toml_names_the_file_and_the_line(tmp_path: Path) -> None:
    """The user has to find the place."""
    path = tmp_path / "mirror.toml"
    path.write_text('host = "a"\nport =\n')
    with pytest.raises(PackhorseError, match=rf"{path}: .*line 2"):
        toml.read(path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    """A UnicodeDecodeError is not an answer."""
    path = tmp_path / "mirror.toml"
    path.write_bytes(b'host = "\xff"')
    with pytest.raises(PackhorseError, match=str(path)):
        toml.read(path)


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    """An OSError is not an answer either."""
    with pytest.raises(PackhorseError, match=f"{tmp_path}: Is a directory"):
        toml.read(tmp_path)

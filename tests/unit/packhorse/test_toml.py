"""The promises of packhorse.toml."""

import tomllib
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


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 20_000) + " = 1",
        " . ".join(["a"] * 20_000) + " = 1",
        '"a".' * 20_000 + "a = 1",
        '\'a b\'."c\\"".' * 20_000 + "a = 1",
        "[" + "a." * 20_000 + "a]",
        "[[" + "a." * 20_000 + "a]]",
        "x = {" + "a." * 20_000 + "a = 1}",
    ],
)
def test_a_key_of_thousands_of_parts_is_refused_at_once(text: str) -> None:
    """An archive of 171 bytes took 1.5 GB."""
    with pytest.raises(tomllib.TOMLDecodeError, match="more than 200 parts"):
        toml.parse(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 100_000])
def test_what_is_nested_without_end_is_no_toml(text: str) -> None:
    """Python counts its calls."""
    with pytest.raises(tomllib.TOMLDecodeError, match="nested too deeply"):
        toml.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"a = '{'x' * 1_000_000}'",
        'a = "' + "\\\\" * 500_000 + '"',
        "a = [" + "'b'," * 200_000 + "]",
        'a = """' + '1.2.3 "\n' * 100_000 + '"""',
        "a." * 50 + "a = 1",
    ],
)
def test_long_texts_are_read(text: str) -> None:
    """The search for long keys must not take for ever itself."""
    assert toml.parse(text) == tomllib.loads(text)

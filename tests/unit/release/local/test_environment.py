"""The promises of release.local.environment."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.local import environment


def _virtualenv(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


def test_env_wins_over_release_toml_and_that_over_the_shell(tmp_path: Path) -> None:
    """The folder decides, whichever shell it is started from."""
    (tmp_path / "release.toml").write_text('[targets.local.env]\nA = "toml"\nB = "toml"\n')
    (tmp_path / ".env").write_text("A='two\nlines'\n")
    read = environment.read(
        tmp_path, None, {"A": "shell", "B": "shell", "C": "shell", "PATH": "/bin"}, tmp_path
    )
    assert [read.variables[name] for name in "ABC"] == ["two\nlines", "toml", "shell"]


def test_another_file_replaces_env(tmp_path: Path) -> None:
    """And has to be there, other than .env."""
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "other").write_text("B=2\n")
    assert environment.read(tmp_path, tmp_path / "other", {}, tmp_path).variables.keys() & {"A", "B"} == {"B"}
    with pytest.raises(PackhorseError, match="no such file"):
        environment.read(tmp_path, tmp_path / "none", {}, tmp_path)


@pytest.mark.parametrize("junk", [b"\x7fELF hidden", b"A=1\0", b"A" * 2_000_000, b"A='never ends"])
def test_junk_in_env_is_refused_without_being_shown(tmp_path: Path, junk: bytes) -> None:
    """It may be a secret; and no process starts without what it says."""
    (tmp_path / ".env").write_bytes(junk)
    with pytest.raises(PackhorseError) as refused:
        environment.read(tmp_path, None, {}, tmp_path)
    assert str(tmp_path / ".env") in refused.value.message
    assert "hidden" not in refused.value.message
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(PackhorseError, match=r"\.env"):
        environment.read(tmp_path, None, {}, tmp_path)


def test_programs_of_the_projects_virtualenv_come_first(tmp_path: Path) -> None:
    """Of .venv, whatever is active: Packhorse itself may be what is active; without .venv, of that."""
    active = _virtualenv(tmp_path / "active")
    shell = {"PATH": "/usr/bin", "VIRTUAL_ENV": str(active), "PYTHONHOME": "/usr"}
    found = environment.compose(tmp_path, shell, tmp_path)
    assert (found.virtualenv, found.variables["PATH"]) == (active, f"{active}/bin:/usr/bin")
    own = _virtualenv(tmp_path / ".venv")
    found = environment.compose(tmp_path, shell, tmp_path)
    assert (found.virtualenv, found.variables["VIRTUAL_ENV"]) == (own, str(own))
    assert found.variables["PATH"].startswith(f"{own}/bin:")
    assert "PYTHONHOME" not in found.variables


def test_data_lies_outside_the_project(tmp_path: Path) -> None:
    """A developer's database belongs into no commit and no sdist; another DATA_DIR is the user's."""
    one, other = tmp_path / "one" / "shop", tmp_path / "other" / "shop"
    found = environment.read(one, None, {}, tmp_path / "home").variables
    folder = Path(found["DATA_DIR"])
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "home")
    assert found["PYTHONUNBUFFERED"] == "1"
    assert folder != environment.data_folder(other, tmp_path / "home")
    given = environment.read(one, None, {"DATA_DIR": "/srv/mine"}, Path("/dev/null")).variables
    assert given["DATA_DIR"] == "/srv/mine"
    with pytest.raises(PackhorseError, match="/dev/null"):
        environment.read(one, None, {}, Path("/dev/null"))

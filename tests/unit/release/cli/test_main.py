"""The promises of release.cli.main."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from packhorse.errors import PackhorseError
from release.cli import main


def test_help_costs_little() -> None:
    """`release --help` answers in 0.25 s: what costs is imported by the command that needs it."""
    code = "import sys; from release.cli import main; print(*sorted(sys.modules))"
    imported = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert imported.isdisjoint({"requests", "pydantic", "rich", "twine", "keyring", "packaging.pylock", "uv"})


def test_help_names_the_commands_and_the_variables() -> None:
    """What is not in --help is not found."""
    shown = CliRunner().invoke(main.cli, ["--help"]).output
    assert all(name in shown for name in ("build", "lock", "upload", "RELEASE_PROJECT"))
    assert "RELEASE_INDEX" in CliRunner().invoke(main.cli, ["build", "--help"]).output


def test_the_lock_is_printed_as_requirement_lines(tmp_path: Path) -> None:
    """`pip install -r <(release lock --requirements)` gives a developer exactly what a host gets."""
    digest = "a" * 64
    tmp_path.joinpath("pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "flask"\nversion = "3.1"\n'
        f'sdist = {{ path = "wheels/flask-3.1.tar.gz", hashes = {{ sha256 = "{digest}" }} }}\n'
    )
    shown = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "lock", "--requirements"]).output
    assert shown == f"flask==3.1 --hash=sha256:{digest}\n"


@pytest.mark.parametrize("command", ["build", "lock"])
def test_a_folder_without_a_project_is_named_before_a_missing_index(tmp_path: Path, command: str) -> None:
    """Who stands in the wrong folder should not be sent to configure an index."""
    arguments = ["-C", str(tmp_path), command]
    done = CliRunner(env={"PACKHORSE_HOME": str(tmp_path)}).invoke(main.cli, arguments)
    assert isinstance(done.exception, PackhorseError)
    assert "no pyproject.toml" in done.exception.message


def test_a_misspelt_target_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    """It costs a second look otherwise: which targets are there?"""
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "deploy", "locl"])
    assert isinstance(done.exception, PackhorseError)
    assert 'did you mean "local"' in done.exception.message


def test_help_lists_every_command_in_one_section() -> None:
    """`init` is another name of `new`."""
    names = [name for section in main.SECTIONS.values() for name in section]
    assert sorted(names) == sorted(main.cli.commands.keys() - {"init"})

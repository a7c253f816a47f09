"""The promises of release.cli.target_command."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from packhorse.errors import PackhorseError
from release.cli import main, target_command
from release.deploy import ssh
from tests.support.release_folders import a_layout, add_release


@pytest.mark.parametrize(
    ("release", "word", "expected"),
    [
        ("[targets.production]\n[targets.preview]\n", "pr", ["preview", "production"]),
        ("[targets.production]\n", "", ["local", "production"]),
        ("nonsense\n", "", ["local"]),
    ],
)
def test_target_names_are_completed(tmp_path: Path, release: str, word: str, expected: list[str]) -> None:
    """From the release.toml of the project that -C names."""
    (tmp_path / "release.toml").write_text(release)
    environment = {
        **os.environ,
        "_RELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"release -C {tmp_path} deploy {word}",
        "COMP_CWORD": "4",
    }
    command = [sys.executable, "-c", "from release.cli.main import cli; cli(prog_name='release')"]
    done = subprocess.check_output(command, env=environment, text=True)
    assert [line.removeprefix("plain,") for line in done.splitlines()] == expected


@pytest.mark.parametrize(("word", "expected"), [("", ["db1", "web1"]), ("w", ["web1"])])
def test_hosts_of_the_target_are_completed_behind_limit_and_skip(
    tmp_path: Path, word: str, expected: list[str]
) -> None:
    """Of the one in the line, and of no other."""
    text = '[targets.a]\nhosts = ["db1", "web1"]\n[targets.b]\nhosts = ["web2"]\n'
    (tmp_path / "release.toml").write_text(text)
    environment = {
        **os.environ,
        "_RELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"release -C {tmp_path} status a --skip {word}",
        "COMP_CWORD": "6",
    }
    command = [sys.executable, "-c", "from release.cli.main import cli; cli(prog_name='release')"]
    done = subprocess.check_output(command, env=environment, text=True)
    assert done.splitlines() == [f"plain,{host}" for host in expected]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("jobs run a", ["cleanup"]),
        ("logs a --process", ["web", "run", "cleanup"]),
        ("logs a --follow --process", ["web", "run", "cleanup"]),
        ("logs local --release", ["3"]),
        ("run local --release", ["3"]),
    ],
)
def test_jobs_and_releases_of_the_target_are_completed(
    tmp_path: Path, words: str, expected: list[str]
) -> None:
    """Also as the value of an option."""
    job = 'name = "cleanup"\nschedule = "daily"\ncommand = "true"\n'
    (tmp_path / "release.toml").write_text(f'app = "shop"\n[[targets.a.jobs]]\n{job}')
    (tmp_path / "Procfile").write_text("web: serve\n")
    add_release(a_layout(tmp_path), 3)
    environment = {
        **os.environ,
        "PACKHORSE_HOME": str(tmp_path),
        "_RELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"release -C {tmp_path} {words} ",
        "COMP_CWORD": str(3 + len(words.split())),
    }
    command = [sys.executable, "-c", "from release.cli.main import cli; cli(prog_name='release')"]
    done = subprocess.check_output(command, env=environment, text=True)
    assert done.splitlines() == [f"plain,{name}" for name in expected]


def test_hosts_of_ssh_are_completed_where_no_target_fits(tmp_path: Path) -> None:
    """With the user that was typed before; patterns name no host."""
    (tmp_path / "config").write_text("Host web1 web2.example.com web*\n  User x\nhost=db1\nHost *\n")
    environment = {
        **os.environ,
        "RELEASE_SSH_CONFIG": str(tmp_path / "config"),
        "_RELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"release -C {tmp_path} status admin@",
        "COMP_CWORD": "4",
    }
    command = [sys.executable, "-c", "from release.cli.main import cli; cli(prog_name='release')"]
    done = subprocess.check_output(command, env=environment, text=True)
    hosts = ["plain,admin@db1", "plain,admin@web1", "plain,admin@web2.example.com"]
    assert done.splitlines() == hosts


def test_columns_are_as_wide_as_their_longest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut off, and no line ends in blanks."""
    target_command.table(["a", "bb"], [["ccc", 1], ["d", 22]])
    assert capsys.readouterr().out == "a    bb\nccc  1\nd    22\n"


@pytest.mark.parametrize(
    "command",
    [
        *("stop", "start", "scale", "verify", "deploy", "rollback", "ps stop", "ps start", "ps restart"),
        *("logs drain", "maintenance on", "maintenance off", "config set", "config unset"),
    ],
)
def test_what_can_find_a_host_busy_can_wait(command: str) -> None:
    """The hint of a busy application names the option."""
    assert "--wait SECONDS" in CliRunner().invoke(main.cli, [*command.split(), "--help"]).output


def test_hosts_of_which_one_was_enough_are_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only --limit and --skip leave hosts out."""
    monkeypatch.setattr(ssh.SshDestination, "command", lambda _: ["true"])
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "release.toml").write_text('[targets.live]\nhosts = ["a1", "b1", "c1"]\n')
    with click.Context(main.cli) as context:
        context.meta["release.skip"] = ["b1"]
        begun = target_command.begin(tmp_path, "live", most=1)
    with begun.stack:
        assert (begun.target.hosts, begun.left_out) == (["a1"], ["b1"])


def test_hosts_cannot_be_chosen_of_two_targets_at_once(tmp_path: Path) -> None:
    """Each has other ones."""
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "diff", "one", "two", "--limit", "web1"])
    assert isinstance(done.exception, PackhorseError)
    assert "these are two" in done.exception.message

"""The promises of release.cli.target_command."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from packhorse.errors import PackhorseError
from release.agents import ssh
from release.agents.controller import Outcome
from release.agents.schedule import HostState
from release.cli import main, target_command
from release.cli.processes import application, maintenance, ps, run
from release.cli.releases import inspect
from release.deploy import outcome as outcomes
from release.inspect import formation
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


def test_services_and_the_mirror_are_completed_behind_provision(tmp_path: Path) -> None:
    """Their hosts are prepared by their names."""
    (tmp_path / "release.toml").write_text(
        '[services.db]\nkind = "redis"\nhosts = ["db1"]\n[targets.a]\n'
        '[mirror]\nhosts = ["pypi"]\nindex_url = "https://pypi.example.com/simple"\n'
    )
    environment = {
        **os.environ,
        "_RELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"release -C {tmp_path} provision ",
        "COMP_CWORD": "4",
    }
    command = [sys.executable, "-c", "from release.cli.main import cli; cli(prog_name='release')"]
    done = subprocess.check_output(command, env=environment, text=True)
    assert done.splitlines() == ["plain,a", "plain,db", "plain,local", "plain,mirror"]


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


def outcome_of(**answers: Mapping[str, object]) -> Outcome:
    hosts = [HostState(name, last={"event": "result", **answer}) for name, answer in answers.items()]
    return Outcome(tuple(hosts), None)


JOB = {"job": "a", "schedule": "daily", "state": "", "last": {}, "next": 1e30}


@pytest.mark.parametrize(
    ("each", "right", "wrong"),
    [
        (ps._listed, {"app": "shop", "release": None}, {"app": "shop"}),
        (ps._listed, {"app": "shop", "release": None}, {"release": 1, "processes": 5}),
        (run._listed, {"app": "shop", "jobs": []}, {"app": "shop", "here": True, "jobs": [JOB]}),
        (maintenance._print, {"app": "shop", "maintenance": None}, {"app": "shop", "maintenance": {"x": 1}}),
        (maintenance._print, {"app": "shop", "maintenance": None}, {"app": "shop", "maintenance": "on"}),
        (
            application._status,
            {"app": "shop", "state": "none", "note": "", "maintenance": 0, "processes": 0},
            {},
        ),
    ],
)
def test_a_host_that_answers_nonsense_is_an_error_after_the_others(
    capsys: pytest.CaptureFixture[str],
    each: Callable[[str, Mapping[str, Any]], None],
    right: Mapping[str, object],
    wrong: Mapping[str, object],
) -> None:
    """It may be compromised; what the others answered is what somebody needs then."""
    with pytest.raises(PackhorseError, match="web1 answered what no agent of ours does"):
        target_command.print_each(outcome_of(web1=wrong, web2=right), each)
    assert "shop" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("wrong", [{}, {"app": "shop", "releases": []}, {"app": "shop", "releases": [5]}])
def test_a_release_that_cannot_be_shown_is_an_error_after_the_others(
    capsys: pytest.CaptureFixture[str], wrong: Mapping[str, object]
) -> None:
    """What a release is, hosts say together where they say the same."""
    right = {"app": "shop", "releases": [{"release": 7}]}
    with pytest.raises(PackhorseError, match="web1 answered what no agent of ours does"):
        inspect._print_equal(
            outcome_of(web1=wrong, web2=right), lambda answer: [f"release {answer['releases'][0]['release']}"]
        )
    assert capsys.readouterr().out == "web2:\nrelease 7\n"


def test_hosts_are_compared_by_the_answers_that_can_be_right() -> None:
    """For JSON, too, where all answers are shown as they are."""
    outcome = outcome_of(
        web1={"state": "up", "release": "x", "scale": {"web": []}},
        web2={"state": "up", "release": 2, "scale": {"web": 1}},
        web3={"state": "up", "release": 1, "scale": {"web": 2}},
        web4={"scale": 5},
    )
    assert formation.differing(outcome) == {"web": {"web2": 1, "web3": 2}}
    assert outcomes.behind(outcome) == {"web1": 2, "web3": 2}


@pytest.mark.parametrize("status", [{}, {"status": "\x1b[2J"}, {"status": 999}, {"status": [1]}])
def test_an_exit_status_that_is_none_is_an_error(status: Mapping[str, object]) -> None:
    """Python prints a text that is given as the exit status as it is."""
    (host,) = outcome_of(web1=status).hosts
    with pytest.raises(PackhorseError, match="web1 answered"):
        run._status(host)

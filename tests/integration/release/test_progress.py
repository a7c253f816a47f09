"""What deploys show: on a real terminal, in the log of a job, with --quiet and with --verbose."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.local_target import Host, running_host
from tests.support.servers import BIN, short_home
from tests.support.terminals import open_terminal, read_until
from tests.support.tiny_app import NAME


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.release("config", "set", "local", "SECRET_KEY=hidden-value")
        yield running


def test_quiet_leaves_the_summary_or_the_error(host: Host) -> None:
    """As an option of the group or of the command; also when there was something to show."""
    for arguments in (
        ["-q", "deploy", "local", f"{NAME}==0.1.0"],
        ["deploy", "local", f"{NAME}==0.2.0", "-q"],
    ):
        done = host.release(*arguments)
        assert (done.stdout.count("\n"), done.stderr) == (1, "")
    failed = host.release("deploy", "local", f"{NAME}==0.9", "--quiet", status=1)
    assert failed.stdout == ""
    assert [line.partition(" ")[0] for line in failed.stderr.splitlines()] == ["Error:", "Hint:"]


def test_verbose_shows_the_commands_without_a_secret(host: Host) -> None:
    """Here and on the host; values of the configuration are in none of them."""
    host.deploy("0.1.0")
    host.release("config", "set", "local", "OTHER=1")
    done = host.release("-v", "deploy", "local", f"{NAME}==0.2.0")
    commands = [line.split("command", 1)[1] for line in done.stderr.splitlines() if " command " in line]
    assert len(commands) >= 2
    assert any("pip install --offline" in command for command in commands)
    assert "hidden-value" not in done.stderr
    assert " command " not in host.release("deploy", "local", f"{NAME}==0.1.0").stderr
    assert "exclude each other" in host.release("-q", "deploy", "-v", "local", status=2).stderr


def test_a_job_that_fails_says_so_in_one_line_before_the_error(host: Host) -> None:
    """The error and the hint stay the last two lines; a job that goes well has its summary."""
    failed = host.release("deploy", "local", f"{NAME}==0.9", status=1)
    summary, error, hint = failed.stderr.splitlines()[-3:]
    assert re.fullmatch(r"release deploy local failed  \(\d+\.\d s\)", summary)
    assert (error.partition(" ")[0], hint.partition(" ")[0]) == ("Error:", "Hint:")
    done = host.deploy("0.2.0")
    assert done.stdout.count("\n") == 1
    steps = [line for line in done.stderr.splitlines() if re.match(r" +\d+\.\d s  local  \w", line)]
    assert len(steps) == len(done.stderr.splitlines())
    assert re.search(r"end       Done \(\d+\.\d s\b.*\)$", steps[-1])


def test_a_terminal_shows_each_step_with_its_seconds(host: Host) -> None:
    """And no summary for a job: the error is what is read."""
    environment = {**host.environment, "TERM": "xterm", "CI": ""}
    for version, last, status in (("0.1.0", r"tiny 0\.1\.0 is release \d+ on local", 0), ("0.9", "Hint", 1)):
        with open_terminal() as (controller, terminal):
            command = [str(BIN / "release"), "deploy", "local", f"{NAME}=={version}"]
            with subprocess.Popen(
                command, cwd=host.project, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
            ) as process:
                shown = ""
                while not re.search(last, shown):
                    shown += read_until(controller, "\n")
                assert process.wait(60) == status
        assert "Failed:" not in shown
        if not status:
            assert re.search(r"  fetch     [^\n]*  \d+\.\d\d s\r\n", shown)

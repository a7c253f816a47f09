"""The release phase: once, before the start, and never a second time behind anybody's back."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from release.host.disk import journal
from release.host.disk.layout import Layout
from tests.support.local_target import Host, last_event, running_host, until_step
from tests.support.servers import wait_until
from tests.support.tiny_app import NAME, app_wheel


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


def add(host: Host, version: str, command: str) -> None:
    host.served.add(NAME, app_wheel(version, procfile=f"web: python -m tiny\nrelease: {command}\n"))


def phases(layout: Layout) -> list[tuple[int, str, str]]:
    known = {journal.PHASE_BEGAN, journal.PHASE_ENDED}
    return [(e.release, e.state, e.reason) for e in journal.read(layout.journal) if e.state in known]


def test_it_runs_once_with_the_new_code_and_configuration_before_the_start(host: Host) -> None:
    """That is where databases are changed; what it says is shown and kept."""
    host.configure(env=f'COLOUR = "blue"\nPLACE = "{host.home}"')
    command = (
        """sh -c 'ls -d $PACKHORSE_FOLDER/venv >> $PLACE/ran; python -c "import tiny"; echo is $COLOUR'"""
    )
    add(host, "0.3.0", command)
    said = host.deploy("0.3.0").stderr
    assert (host.home / "ran").read_text() == f"{host.layout.release(1)}/venv\n"
    assert said.index("is blue") < said.index("Starting release 1")
    assert "is blue" in host.release("logs", "local").stdout
    assert host.status()["processes"][0]["process"] == "web"
    host.deploy("0.3.0")
    assert (host.home / "ran").read_text().count("\n") == 1
    assert phases(host.layout) == [(1, "phase began", ""), (1, "phase ended", "ended with status 0")]


def test_only_the_host_that_is_told_to_runs_it(host: Host) -> None:
    """The database is one, the hosts are many."""
    add(host, "0.3.0", "false")
    assert last_event(host.agent(host.request("0.3.0", release_phase=False)))["release"] == 1
    assert phases(host.layout) == []


def test_one_that_fails_leaves_the_old_release_alone(host: Host) -> None:
    """The new one never started; the next version is deployed without further ado."""
    host.deploy("0.1.0")
    add(host, "0.3.0", "sh -c 'echo no such table; exit 3'")
    failed = host.deploy_in_vain("0.3.0", serves="0.1.0")
    assert "no such table" in failed
    assert "The release phase of tiny 0.3.0 ended with status 3" in failed
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_one_that_was_cut_off_is_reported_and_not_repeated(host: Host, end: str) -> None:
    """Nobody knows what it has done: only a human can say that it may run again."""
    host.deploy("0.1.0")
    add(host, "0.3.0", "sh -c 'echo working; sleep 1000 & wait'")
    agent = host.agent(host.request("0.3.0"))
    until_step(agent, "release")
    wait_until("the command", lambda: "working" in _log(host))
    if end == "killed":
        agent.kill()
        agent.communicate()
    else:
        assert agent.stdin
        agent.stdin.close()
        assert "The release phase was stopped" in last_event(agent)["message"]
    status = host.status()
    assert (status["version"], status["state"]) == ("0.1.0", "running")
    assert "The release phase of 0.3.0 (release 2) began at 20" in status["note"]
    assert not [p for p in psutil.process_iter() if _belongs(p, host.layout.release(2))]
    refused = host.deploy("0.2.0", status=1).stderr
    assert "nobody knows what it has done" in refused
    assert "--retry-release" in refused
    host.release("deploy", "local", f"{NAME}==0.2.0", "--retry-release")
    assert (host.get(), host.status()["note"]) == ("0.2.0", "")
    host.deploy("0.1.0")


def _log(host: Host) -> str:
    path = host.layout.log("release.2")
    return path.read_text() if path.exists() else ""


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get("PACKHORSE_FOLDER") == str(folder)
    except psutil.Error:
        return False


def test_what_it_leaves_in_the_background_is_ended(host: Host) -> None:
    """A migration that goes on for ever would hold locks, and the deploy."""
    add(host, "0.3.0", "sh -c 'sleep 1000 & echo $! > $PLACE/pid'")
    host.configure(env=f'PLACE = "{host.home}"')
    host.deploy("0.3.0")
    pid = int((host.home / "pid").read_text())

    def has_ended() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    wait_until("the end of what it has left", has_ended)  # after KILL, it takes a moment

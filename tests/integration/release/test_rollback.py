"""Back to what ran before: with real installers, and without the index that it came from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.host.disk import journal, releases
from release.host.request import Releases
from tests.support.load_client import Load
from tests.support.local_target import Host, last_event, running_host, tell, until_gate
from tests.support.tiny_app import NAME, app_sdist, app_wheel

GATES = ["lock", "start", "verdict"]


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_rollback_needs_no_index(host: Host, installer: str) -> None:
    """The index is down when everything is: a new release has the old code and the old configuration."""
    host.served.add(NAME, app_sdist("0.5.0"))
    host.configure(target=f'installer = "{installer}"', env='COLOUR = "red"')
    host.deploy("0.5.0")
    host.configure(target=f'installer = "{installer}"', env='COLOUR = "blue"')
    host.deploy("0.2.0")
    with host.served.refusing(), Load(host.port) as load:
        told = host.roll_back()
        assert host.get() == "0.5.0"
    assert load.failed == 0
    assert (told["release"], told["version"], told["unchanged"]) == (3, "0.5.0", False)
    assert json.loads(host.get("/env"))["COLOUR"] == "red"
    listed = host.ask(Releases)["releases"]
    assert [(row["release"], row["state"], row["changed"], row["reason"]) for row in listed] == [
        (3, "current", "code, config COLOUR", "back to the content of release 1"),
        (2, "good", "code, config COLOUR", ""),
        (1, "good", "everything", ""),
    ]
    assert "red" not in host.layout.journal.read_text()
    assert host.roll_back(3)["unchanged"]


def test_another_configuration_needs_no_file_from_the_index(host: Host) -> None:
    """Changed settings must not wait for an index, nor hang on what lies there by now."""
    host.deploy("0.1.0")
    host.configure(env='COLOUR = "green"')
    request = host.request("0.1.0")
    with host.served.refusing():
        assert last_event(host.agent(request))["release"] == 2
    assert json.loads(host.get("/env"))["COLOUR"] == "green"


def test_files_that_no_release_needs_any_more_are_removed(host: Host) -> None:
    """A host is deployed to for years."""
    host.configure(target="keep = 1")
    host.served.add(NAME, app_wheel("0.3.0"))
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        host.deploy(version)
    kept = {path.name for path in host.layout.files.rglob("*.whl")}
    assert kept == {f"tiny-{version}-py3-none-any.whl" for version in ("0.2.0", "0.3.0")}


def test_gates_are_waited_at(host: Host) -> None:
    """Somebody who deploys to many hosts decides when this one goes on; it says what it is about to run."""
    agent = host.agent(host.request("0.1.0", GATES))
    until_gate(agent, "lock")
    tell(agent, go="lock")
    told = until_gate(agent, "start")
    assert (told["release"], told["version"], len(told["digest"])) == (1, "0.1.0", 64)
    assert releases.is_ready(host.layout, 1)
    tell(agent, go="start")
    until_gate(agent, "verdict")
    assert host.get() == "0.1.0"
    assert journal.states(journal.read(host.layout.journal)) == {1: journal.TRIAL}
    tell(agent, go="verdict")
    assert (last_event(agent)["release"], host.status()["release"]) == (1, 1)


@pytest.mark.parametrize("end", ["revert", "silence", "closed"])
def test_a_healthy_release_goes_back_when_it_must_not_stay(host: Host, end: str) -> None:
    """It failed on another host, or whoever could say so is gone: all hosts run the same in the end."""
    host.deploy("0.1.0")
    silence = 2.0 if end == "silence" else None
    with Load(host.port) as load:
        agent = host.agent(host.request("0.2.0", ["verdict"], silence=silence))
        until_gate(agent, "verdict")
        assert host.get() == "0.2.0"
        if end == "revert":
            tell(agent, revert="web2: no answer")
        if end == "closed" and agent.stdin:
            agent.stdin.close()
        told = last_event(agent)
        assert host.get() == "0.1.0"
    assert load.failed == 0
    assert (told["event"], told["reverted"], told["release"], told["version"]) == ("result", True, 1, "0.1.0")
    assert told["reason"] == ("web2: no answer" if end == "revert" else "nobody waits for it any more.")
    entry = journal.outcomes(journal.read(host.layout.journal))[2]
    assert (entry.state, entry.reason) == (journal.FAILED, told["reason"])
    host.deploy("0.2.0")


@pytest.mark.parametrize("gate", ["lock", "start"])
def test_a_gate_that_stays_closed_leaves_everything_as_it_was(host: Host, gate: str) -> None:
    """Another host could not be reached."""
    host.deploy("0.1.0")
    agent = host.agent(host.request("0.2.0", [gate]))
    until_gate(agent, gate)
    assert agent.stdin
    agent.stdin.close()
    told = last_event(agent)
    assert (told["event"], told["exit_code"]) == ("error", 130)
    assert releases.numbers(host.layout) == [1]
    assert host.get() == "0.1.0"


def test_a_plan_touches_nothing(host: Host) -> None:
    """Before the first deploy, before another, and when there is nothing to do."""
    planned = last_event(host.agent(host.request("0.1.0", plan=True)))
    assert not host.layout.folder.exists()
    assert planned["plan"][0] == "Fetch tiny-0.1.0-py3-none-any.whl, and what it needs and is not here yet"
    host.configure(env='COLOUR = "red"')
    host.deploy("0.1.0")
    before = sorted(host.layout.folder.rglob("*"))
    assert last_event(host.agent(host.request("0.1.0", plan=True)))["unchanged"]
    host.configure(env='COLOUR = "blue"')
    planned = last_event(host.agent(host.request("0.2.0", plan=True)))
    assert (planned["unchanged"], planned["version"], planned["release"]) == (False, "0.2.0", 2)
    assert "Give it another configuration: COLOUR" in planned["plan"]
    assert sorted(host.layout.folder.rglob("*")) == before

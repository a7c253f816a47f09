"""The processes of an application on this machine: what was done to them, how many there are, how they do."""

import json
from collections.abc import Iterator

import pytest

from tests.support.local_target import Host, running_host
from tests.support.servers import short_home


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.deploy("0.1.0")
        yield running


def recorded(host: Host) -> list[str]:
    """The journal: state and reason of each entry."""
    answer = json.loads(host.release("journal", "local", "-n", "5", "--json").stdout)["hosts"][0]
    return [f"{entry['state']} {entry['reason']}".strip() for entry in answer["entries"]]


def test_stop_and_start_are_in_the_journal(host: Host) -> None:
    """With who and when, and they use up no number of a release."""
    for command in ("stop", "start"):
        host.release(command, "local")
    assert recorded(host)[-3:] == ["good", "command stop", "command start"]
    *_, stop, start = host.release("journal", "local").stdout.splitlines()
    assert stop.endswith("  stop")
    assert start.endswith("  start")
    assert host.status()["release"] == 1

"""Deploys to this machine with real wheels, uv, circus and a client that never pauses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Load
from tests.integration.hosts import Host, running_host


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


def test_the_first_deploy_serves(host: Host) -> None:
    """One command from a version on the index to a process that answers."""
    done = host.deploy("0.1.0")
    assert f"tiny 0.1.0 is release 1 on local: http://127.0.0.1:{host.port}" in done.stdout
    assert host.get() == "0.1.0"


def test_no_request_fails_while_a_new_version_takes_over(host: Host) -> None:
    """The promise of the whole tool; slow requests in flight are finished by the old release."""
    host.deploy("0.1.0")
    with Load(host.port) as load, Load(host.port, "/slow") as slow:
        host.deploy("0.2.0")
        assert host.get() == "0.2.0"
    assert (load.failed, slow.failed) == (0, 0)
    assert load.sent > 50

"""Processes on two servers: scaled and restarted without a dropped request, over boots, too."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import hosts, ssh_target
from tests.support.load_client import over_ssh
from tests.support.servers import wait_until
from tests.support.ssh_target import LAYOUT, Servers, run_user
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

PROCFILE = "web: python -m tiny\nworker: sh -c 'sleep 1003 & while :; do sleep 0.1; done'\n"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Servers]:
    with ssh_target.running("web1", "web2") as running:
        running.served.add(NAME, app_wheel("0.3.0", procfile=PROCFILE))
        running.deploy("0.3.0")
        yield running


def listed(fleet: Servers) -> dict[str, dict[str, Any]]:
    """Host -> process type -> its row of `release ps production --json`."""
    answers = json.loads(fleet.release("ps", "production", "--json").stdout)["hosts"]
    return {each["host"]: {row["process"]: row for row in each["processes"]} for each in answers}


def there(fleet: Servers) -> list[dict[str, int]]:
    """What each host runs: process type -> number of processes."""
    return [{name: len(row["each"]) for name, row in rows.items()} for rows in listed(fleet).values()]


def test_all_hosts_are_scaled_without_a_dropped_request(fleet: Servers) -> None:
    """Up and down, also for processes of another user than the one that deploys."""
    with over_ssh(fleet.hosts, str(LAYOUT.web), 200) as load:
        for count in (3, 1, 2):
            fleet.release("scale", "production", f"web={count}", "worker=2")
            assert there(fleet) == [{"web": count, "worker": 2}] * 2
        fleet.release("ps", "restart", "production")
        fleet.deploy("0.3.0")
    assert load.failed == 0
    assert load.sent > 50
    what = [line.split("  ")[1:] for line in fleet.release("journal", "production").stdout.splitlines()]
    assert [host for host, _, text in what if text == "scale web=3 worker=2"] == ["web1", "web2"]
    assert [host for host, _, text in what if text == "restart"] == ["web1", "web2"]


def test_ps_measures_processes_of_another_user(fleet: Servers) -> None:
    """With the children that a process has; systemd hides none of them from who deploys."""
    fleet.release("scale", "production", "web=2", "worker=2")
    for rows in listed(fleet).values():
        assert {name: row["state"] for name, row in rows.items()} == {"web": "running", "worker": "running"}
        assert all(one["memory"] > 2**20 for row in rows.values() for one in row["each"])
        assert rows["worker"]["restarts"] is not None
    assert fleet.release("ps", "production").stdout.count("running") == 8


def test_numbers_outlive_a_boot(fleet: Servers) -> None:
    """systemd starts circusd with them, before any command of ours."""
    fleet.release("scale", "production", "web=2", "worker=3")
    fleet.release("ps", "stop", "production", "worker")
    before = there(fleet)
    fleet.hosts[0].reboot()
    assert fleet.served_by_itself() == "0.3.0"
    assert there(fleet) == before == [{"web": 2, "worker": 0}] * 2
    fleet.release("ps", "start", "production", "worker")
    assert there(fleet) == [{"web": 2, "worker": 3}] * 2


def test_hosts_that_differ_are_named_with_the_remedy(fleet: Servers) -> None:
    """One was left out; then the same command for all makes them equal."""
    fleet.release("scale", "production", "web=1", "--limit", "web2")
    said = fleet.release("ps", "production").stdout.splitlines()[-1]
    assert said.startswith("Hosts have different numbers of processes: web 2 on web1, 1 on web2.")
    assert "release scale production web=2" in said
    fleet.release("scale", "production", "web=2")
    assert "different" not in fleet.release("ps", "production").stdout


def test_a_host_that_is_installed_anew_gets_the_numbers_of_the_others(fleet: Servers) -> None:
    """One web of two would be there, and nobody would know."""
    fleet.release("scale", "production", "web=2", "worker=0")
    fleet.install_anew(fleet.hosts[1])
    fleet.deploy("0.3.0")
    assert there(fleet) == [{"web": 2, "worker": 0}] * 2


def test_a_host_from_before_goes_on_with_one_of_each(fleet: Servers) -> None:
    """It has no numbers, and an earlier version started what runs: nothing is restarted by a command."""
    fleet.release("scale", "production", "web=1", "worker=1")
    pids = [row["each"][0]["pid"] for row in listed(fleet)["web1"].values()]
    for host in fleet.hosts:
        host.ssh("rm", str(LAYOUT.scale))
    fleet.release("scale", "production", "web=2")
    assert there(fleet) == [{"web": 2, "worker": 1}] * 2
    after = [one["pid"] for row in listed(fleet)["web1"].values() for one in row["each"]]
    assert set(pids) <= set(after)


def test_a_restart_stops_at_the_first_host_that_fails(fleet: Servers) -> None:
    """The second one goes on as it is."""
    before = listed(fleet)["web2"]["web"]["each"]
    log = LAYOUT.release(fleet.status()[0]["release"])
    broken = log / "venv/bin/python"
    fleet.hosts[0].ssh("mv", str(broken), f"{broken}.away")
    try:
        failed = fleet.release("ps", "restart", "production", "web", status=1).stderr
    finally:
        fleet.hosts[0].ssh("mv", f"{broken}.away", str(broken))
    assert "web1: " in failed
    assert listed(fleet)["web2"]["web"]["each"][0]["pid"] == before[0]["pid"]
    wait_until("web1", lambda: fleet.get(fleet.hosts[0], "/") == "0.3.0")


def test_the_check_of_a_worker_runs_as_its_user(fleet: Servers) -> None:
    """The one that deploys may do more than an application."""
    command = ["sh", "-c", "id -un > $DATA_DIR/checked; test $PACKHORSE_APP = tiny"]
    fleet.configure(f"[targets.production.processes.worker]\ncheck_command = {json.dumps(command)}")
    fleet.release("scale", "production", "worker=1")
    fleet.deploy("0.1.0")
    fleet.deploy("0.3.0")
    for host in fleet.hosts:
        assert host.ssh("cat", str(LAYOUT.data / "checked")).stdout == f"{run_user()}\n"
    fleet.configure("[targets.production.processes.worker]\ncheck_command = ['false']\ncheck_timeout = 1.0")
    failed = fleet.release("rollback", "production", status=None).stderr
    assert "check_command" not in failed  # 0.1.0 has no worker
    assert "its check_command ended with status 1" in fleet.deploy("0.3.0", status=1).stderr
    assert fleet.versions() == ["0.1.0"] * 2

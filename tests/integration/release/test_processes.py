"""The processes of an application on this machine: what was done to them, how many there are, how they do."""

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from release.config import release_toml
from release.deploy import requests
from release.host.commands.processes import scaling
from release.host.control import session
from release.host.processes import process_table
from release.host.processes.circusd import Circus
from release.host.request import Scale
from tests.support.load_client import Load
from tests.support.local_target import Host, running_host
from tests.support.servers import BIN, short_home, wait_until
from tests.support.tiny_app import NAME, app_wheel

WEB = "web: python -m tiny\n"
WORKER = "worker: sh -c 'echo $$ >> $PLACE/work; while :; do sleep 0.05; done'\n"
VERSIONS = {"0.3.0": WEB + WORKER, "0.4.0": WEB + WORKER + "beat: sleep 1000\n", "0.5.0": WEB}


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


@pytest.fixture
def scaled(home: Path) -> Iterator[Host]:
    """Release 1 has web and worker; 0.4.0 has a beat besides, 0.5.0 has lost its worker."""
    with running_host(home) as running:
        running.configure(env=f'PLACE = "{home}"')
        for version, procfile in VERSIONS.items():
            running.served.add(NAME, app_wheel(version, procfile=procfile))
        running.deploy("0.3.0")
        yield running


def there(host: Host) -> dict[str, int]:
    """Process type -> number of its processes."""
    return {row["process"]: len(row["pids"]) for row in host.status()["processes"]}


def test_web_is_scaled_up_and_down_without_a_dropped_request(scaled: Host) -> None:
    """Fewer are made as a deploy makes new ones; the same release serves, and the next one has as many."""
    first = set(scaled.status()["processes"][0]["pids"])
    with Load(scaled.port) as load:
        for count in (3, 1, 2, 4, 2):
            scaled.release("scale", "local", f"web={count}")
            assert there(scaled)["web"] == count
            assert scaled.status()["state"] == "running"
        scaled.deploy("0.4.0")
        assert there(scaled) == {"web": 2, "worker": 1, "beat": 0}
        scaled.release("rollback", "local")
    assert (load.failed, there(scaled)) == (0, {"web": 2, "worker": 1})
    assert not process_table.wait(process_table.alive_of(first), 0)
    assert scaled.status()["release"] == 3


def test_types_come_and_go(scaled: Host) -> None:
    """One that left the Procfile stops, a new one waits for its number, and one that is back has its own."""
    scaled.release("scale", "local", "worker=2", "web=2")
    said = scaled.deploy("0.4.0").stderr
    assert "beat is new, and has no process yet. Start one: release scale local beat=1" in said
    scaled.release("scale", "local", "beat=1")
    assert there(scaled) == {"web": 2, "worker": 2, "beat": 1}
    scaled.deploy("0.5.0")
    assert there(scaled) == {"web": 2}
    refused = scaled.release("scale", "local", "worker=1", status=1).stderr
    assert "has no worker" in refused
    assert "It has: web" in refused
    scaled.deploy("0.3.0")
    assert there(scaled) == {"web": 2, "worker": 2}


def test_numbers_outlive_what_kills_processes(scaled: Host) -> None:
    """A reboot of this machine, stop and start; then the public address leads to them again."""
    scaled.release("scale", "local", "web=2", "worker=3")
    circusd = psutil.Process(Circus(scaled.layout).pid())
    circusd.kill()
    circusd.wait()
    wait_until("all", lambda: there(scaled) == {"web": 2, "worker": 3})
    for command in ("stop", "start"):
        scaled.release(command, "local")
    wait_until("all", lambda: there(scaled) == {"web": 2, "worker": 3})
    assert scaled.get() == "0.3.0"


def test_without_any_web_nobody_waits(scaled: Host) -> None:
    """Whoever asks is refused at once; the worker goes on, and a deploy changes nothing about it."""
    scaled.release("scale", "local", "web=0")
    assert there(scaled) == {"web": 0, "worker": 1}
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
        scaled.get()
    scaled.deploy("0.4.0")
    assert scaled.status()["state"] == "running"
    scaled.release("scale", "local", "web=2")
    assert scaled.get() == "0.4.0"


def test_everything_may_be_scaled_to_nothing(scaled: Host) -> None:
    """That is not stopped: the next deploy leaves it so, too."""
    scaled.release("scale", "local", "web=0", "worker=0")
    assert there(scaled) == {} or set(there(scaled).values()) == {0}
    scaled.deploy("0.4.0")
    scaled.release("scale", "local", "web=1")
    assert (scaled.get(), there(scaled)) == ("0.4.0", {"web": 1, "worker": 0, "beat": 0})


def test_numbers_are_kept_for_the_first_deploy(home: Path) -> None:
    """What is not named there starts as the Procfile says; the journal has who scaled it."""
    with running_host(home) as host:
        host.configure(env=f'PLACE = "{home}"')
        host.served.add(NAME, app_wheel("0.3.0", procfile=VERSIONS["0.3.0"]))
        assert "kept for the first deploy" in host.release("scale", "local", "web=3").stdout
        host.deploy("0.3.0")
        assert there(host) == {"web": 3, "worker": 1}
        assert recorded(host) == ["command scale web=3", "good"]


@pytest.mark.parametrize(
    "words",
    [
        ["web=-1"],
        ["web=1e9"],
        ["web=1000000000"],
        ["web=101"],
        ["web=٣"],
        ["web="],
        ["web"],
        ["=2"],
        ["+web=2"],
        ["we.b=2"],
        ["web=1", "web=2"],
        ["release=1"],
        ["wrong=1"],
        ["web=2", "wrong=1"],
        ["../web=1"],
    ],
)
def test_what_is_no_number_of_a_type_changes_nothing(host: Host, words: list[str]) -> None:
    """Two lines say what is right."""
    refused = host.release("scale", "local", *words, status=1).stderr
    assert len(refused.splitlines()) == 2
    assert there(host) == {"web": 1}


@pytest.mark.parametrize("step", ["scale", "probe", "ready"])
def test_a_scale_that_is_killed_has_happened_or_not(scaled: Host, step: str) -> None:
    """What is on disk and what runs are one thing after the next command, whatever that is."""
    scaled.release("scale", "local", "web=3")
    counts = {"scale": {"web": 2}, "probe": {"web": 2}, "ready": {"worker": 2}}[step]
    target = release_toml.load(scaled.project).target("local")
    request = requests.request(
        Scale, NAME, target, scaled.home, target_name="local", silence=None, counts=counts
    )
    with Load(scaled.port) as load:
        with scaled.agent(request, **{session.STOP_AT: step}) as agent:
            process = psutil.Process(agent.pid)
            wait_until(step, lambda: process.status() == psutil.STATUS_STOPPED)
            busy = scaled.release("scale", "local", "web=1", status=1).stderr
            assert f"scale {scaling.text(counts)} by" in busy
            agent.kill()
        shown = json.loads(scaled.release("scale", "local", "--json").stdout)["hosts"][0]["scale"]
        assert there(scaled) == shown
        assert shown == {"web": 3, "worker": 2 if step == "ready" else 1}
        assert len(list(scaled.layout.watchers.iterdir())) == 2
    assert load.failed == 0


def listed(host: Host) -> dict[str, dict[str, Any]]:
    """`release ps local --json`: process type -> its row."""
    answer = json.loads(host.release("ps", "local", "--json").stdout)["hosts"][0]
    return {row["process"]: row for row in answer["processes"]}


def test_ps_shows_what_each_process_uses(scaled: Host) -> None:
    """With its children; one that was killed once was restarted, and is no crash loop."""
    scaled.release("scale", "local", "web=2", "worker=2")
    victim = listed(scaled)["worker"]["each"][0]["pid"]
    os.kill(victim, signal.SIGKILL)
    wait_until("the restart", lambda: listed(scaled)["worker"]["restarts"] == 1)
    wait_until("both", lambda: len(listed(scaled)["worker"]["each"]) == 2)
    found = listed(scaled)
    assert {name: (row["state"], row["restarts"], row["release"]) for name, row in found.items()} == {
        "web": ("running", 0, 1),
        "worker": ("running", 1, 1),
    }
    assert found["worker"]["status"] == -9
    assert all(one["memory"] > 2**20 for row in found.values() for one in row["each"])
    table = scaled.release("ps", "local").stdout
    assert table.splitlines()[0] == "tiny on local: tiny 0.3.0"
    assert re.search(r"^web +1/2 +\d+ +1 +running +\S+ +0 +\d+ % +\d+ MB$", table, re.MULTILINE)


def test_a_one_off_is_a_process_too(host: Host) -> None:
    """Somebody has left a shell open since yesterday."""
    command = [str(BIN / "release"), "run", "local", "--", "sleep", "1007"]
    with subprocess.Popen(command, cwd=host.project, env=host.environment) as running:
        try:
            wait_until("it", lambda: "run" in listed(host))
            row = listed(host)["run"]
            assert (row["state"], row["release"], row["command"]) == ("running", 1, "sleep 1007")
            assert [psutil.Process(one["pid"]).cmdline() for one in row["each"]] == [["sleep", "1007"]]
        finally:
            running.terminate()
    wait_until("its end", lambda: "run" not in listed(host))


def test_a_crash_loop_is_visible_as_such(home: Path) -> None:
    """With its last words, which reach no terminal as they are, and its exit status."""
    with running_host(home) as host:
        host.configure(env=f'PLACE = "{home}"')
        crashing = (
            "worker: sh -c 'test -e $PLACE/queue && exec sleep 1000; printf \"no \\33[2Jqueue\\n\"; exit 3'\n"
        )
        host.served.add(NAME, app_wheel("0.3.0", procfile=WEB + crashing))
        (home / "queue").touch()
        host.deploy("0.3.0")
        (home / "queue").unlink()
        (pid,) = (one["pid"] for one in listed(host)["worker"]["each"])
        os.kill(pid, signal.SIGTERM)
        row = wait_until(
            "a crash loop", lambda: (row := listed(host)["worker"])["state"] == "crash loop" and row
        )
        assert (row["status"], row["lines"][-1]) == (3, "no \33[2Jqueue")
        text = host.release("ps", "local").stdout
        assert "worker keeps ending, the last time with status 3" in text
        assert "no \\x1b[2Jqueue" in text
        (home / "queue").touch()


def test_a_restart_drops_no_request(scaled: Host) -> None:
    """New web processes take over when they are healthy; the worker is alone at any time."""
    before = {name: row["each"][0]["pid"] for name, row in listed(scaled).items()}
    with Load(scaled.port) as load:
        for _ in range(3):
            scaled.release("ps", "restart", "local", "web")
        after = {name: row["each"][0]["pid"] for name, row in listed(scaled).items()}
        assert (after["web"] != before["web"], after["worker"]) == (True, before["worker"])
        scaled.release("ps", "restart", "local")
        scaled.deploy("0.4.0")
    assert load.failed == 0
    assert recorded(scaled)[-3:] == ["command restart web", "command restart", "good"]
    assert {name: row["state"] for name, row in listed(scaled).items()} == {
        "web": "running",
        "worker": "running",
        "beat": "none",
    }


def test_a_type_that_is_stopped_stays_so(scaled: Host) -> None:
    """Over a deploy, which says so, and the death of all; then somebody starts as many as before."""
    scaled.release("scale", "local", "worker=2")
    scaled.release("ps", "stop", "local", "worker")
    assert "worker stays stopped. Start it: release ps start local worker" in scaled.deploy("0.4.0").stderr
    circusd = psutil.Process(Circus(scaled.layout).pid())
    circusd.kill()
    circusd.wait()
    wait_until("all but the worker", lambda: there(scaled) == {"web": 1, "worker": 0, "beat": 0})
    assert listed(scaled)["worker"]["state"] == "stopped"
    assert "worker=2 (stopped)" in scaled.release("scale", "local").stdout
    assert "stopped here" in scaled.release("ps", "restart", "local", "worker", status=1).stderr
    scaled.release("ps", "start", "local", "worker")
    assert there(scaled) == {"web": 1, "worker": 2, "beat": 0}
    assert "release scale local beat=1" in scaled.release("ps", "start", "local", "beat", status=1).stderr


def test_a_stopped_web_refuses_at_once_and_starts_again(scaled: Host) -> None:
    """The worker goes on."""
    scaled.release("ps", "stop", "local", "web")
    assert there(scaled) == {"web": 0, "worker": 1}
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
        scaled.get()
    scaled.release("ps", "start", "local")
    assert (scaled.get(), there(scaled)) == ("0.3.0", {"web": 1, "worker": 1})


COMMAND = "sh -c 'echo $PACKHORSE_RELEASE asks; test -e $PLACE/up'"


def check(host: Host, command: str, seconds: float, more: str = "") -> None:
    """Write release.toml with a command for the worker."""
    worker = f"check_command = {json.dumps(shlex.split(command))}\ncheck_timeout = {seconds}\n{more}"
    host.configure(env=f'PLACE = "{host.home}"\n[targets.local.processes.worker]\n{worker}')


def test_a_worker_is_ready_when_its_command_says_so(scaled: Host) -> None:
    """It is tried until then, with the environment of the new release."""
    check(scaled, COMMAND, 30)
    up = threading.Timer(3, (scaled.home / "up").touch)
    up.start()
    scaled.deploy("0.4.0")
    assert (scaled.home / "up").exists()
    assert there(scaled)["worker"] == 1


@pytest.mark.parametrize(
    ("command", "why", "overlap"),
    [
        (COMMAND, "its check_command ended with status 1, for 1 s", "true"),
        (COMMAND, "2 asks", "false"),
        ("no-such-program", "its check_command ended with status 127", "true"),
        ("sh -c 'sleep 1005 & sleep 1005'", "its check_command did not end", "false"),
    ],
)
def test_a_worker_that_is_not_ready_leads_back(scaled: Host, command: str, why: str, overlap: str) -> None:
    """Nobody would notice for days that it does nothing."""
    check(scaled, command, 1.0, f"overlap = {overlap}")
    failed = scaled.deploy_in_vain("0.4.0", serves="0.3.0")
    assert "worker of tiny 0.4.0 (release 2) is not healthy: " in failed
    assert why in failed
    assert there(scaled) == {"web": 1, "worker": 1}
    assert 2 not in {process.release for process in process_table.find(scaled.layout)}


def test_a_worker_may_have_to_stay_up_for_longer(scaled: Host) -> None:
    """It connects to its queue for a while before it gives up."""
    worker = "worker: sh -c 'sleep 2.5; exit 3'\n"
    scaled.served.add(NAME, app_wheel("0.6.0", procfile=WEB + worker))
    scaled.configure(env=f'PLACE = "{scaled.home}"\n[targets.local.processes.worker]\ncheck_uptime = 6.0')
    assert "its process ended after" in scaled.deploy_in_vain("0.6.0", serves="0.3.0")
    assert there(scaled) == {"web": 1, "worker": 1}

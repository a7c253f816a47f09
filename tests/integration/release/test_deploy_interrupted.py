"""Deploys that are killed, stopped, raced, or lose disk or index: users notice nothing, the next repairs."""

import contextlib
import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from release.host.disk import journal, releases
from release.host.processes import process_table
from release.host.processes.circusd import Circus
from tests.support import faults
from tests.support.load_client import Load
from tests.support.local_target import Host, last_event, running_host, stopped_at, until_step
from tests.support.servers import BIN, run_command, wait_until
from tests.support.tiny_app import NAME, app_wheel

STEPS = [
    *("lock", "preflight", "fetch", "install", "ready", "release", "start", "probe"),
    *("switch", "verify", "verdict", "commit", "prune", "drain"),
]
FOR_GOOD = {"prune", "drain"}


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


def assert_tidy(host: Host) -> None:
    """Exactly the current release runs, and every release that is there is recorded."""
    current = releases.current(host.layout)
    assert [path.name for path in host.layout.watchers.iterdir()] == [f"web.{current}.ini"]
    assert {process.release for process in process_table.find(host.layout)} == {None, current}
    assert set(releases.numbers(host.layout)) <= set(journal.states(journal.read(host.layout.journal)))


@pytest.mark.parametrize("step", STEPS)
def test_a_deploy_may_be_killed_at_every_step(host: Host, step: str) -> None:
    """kill -9, the OOM killer: no request fails, and the next command puts all in order."""
    host.served.add(NAME, app_wheel("0.3.0", procfile="web: python -m tiny\nrelease: true\n"))
    host.deploy("0.1.0")
    with Load(host.port) as load:
        with stopped_at(host, "0.3.0", step) as agent:
            agent.kill()
        assert host.get() in {"0.1.0", "0.3.0"}
        status = host.status()
        assert (status["state"], status["note"]) == ("running", "")
        assert host.get() == status["version"] == ("0.3.0" if step in FOR_GOOD else "0.1.0")
        assert_tidy(host)
        host.deploy("0.3.0")
        assert host.get() == "0.3.0"
    assert load.failed == 0
    assert_tidy(host)


@pytest.mark.parametrize("step", STEPS)
def test_the_first_deploy_may_be_killed_at_every_step(host: Host, step: str) -> None:
    """There is nothing to go back to: what has become healthy stays, and nothing half made does."""
    host.served.add(NAME, app_wheel("0.3.0", procfile="web: python -m tiny\nrelease: true\n"))
    with stopped_at(host, "0.3.0", step) as agent:
        agent.kill()
    serves = step in {"drain", "verify", "verdict", "commit", "prune"}
    assert host.status()["state"] == ("running" if serves else "none")
    host.deploy("0.3.0")
    assert host.get() == "0.3.0"
    assert_tidy(host)


@pytest.mark.parametrize("step", ["fetch", "install", "probe", "switch", "drain", "commit"])
def test_ctrl_c_ends_a_deploy_whole(host: Host, step: str) -> None:
    """Before the switch the new release goes away, after it the deploy is finished; never in between."""
    host.deploy("0.1.0")
    with Load(host.port) as load:
        command = subprocess.Popen(
            [BIN / "release", "deploy", "local", f"{NAME}==0.2.0"],
            env=host.environment,
            cwd=host.project,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert command.stderr
        said = b""
        while f"  {step} ".encode() not in said:
            said += command.stderr.read(1)
        command.send_signal(signal.SIGINT)
        said += command.communicate()[1]
        status = host.status()
    assert load.failed == 0
    assert b"Traceback" not in said
    assert (command.returncode, status["version"]) in {(130, "0.1.0"), (0, "0.2.0")}, said
    if step in {"fetch", "install"}:
        assert status["version"] == "0.1.0"
        assert b"stopped before the switch" in said
    assert_tidy(host)
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


def test_a_killed_command_lets_the_agent_stop(host: Host) -> None:
    """kill -9 of `release deploy`: the agent notices that nobody listens, and stops in order."""
    host.deploy("0.1.0")
    host.served.add(NAME, app_wheel("0.3.0", "deaf"))
    agent = host.agent(host.request("0.3.0"))
    until_step(agent, "probe")
    assert agent.stdin
    assert agent.stdout
    agent.stdout.close()
    agent.stdin.close()
    agent.wait(60)
    assert host.get() == "0.1.0"
    assert_tidy(host)


def test_a_killed_circusd_is_replaced(host: Host) -> None:
    """Its children serve on without it; the next command ends them, because nobody would restart them."""
    host.deploy("0.1.0")
    circusd = Circus(host.layout).pid()
    assert circusd
    os.kill(circusd, signal.SIGKILL)
    assert host.get() == "0.1.0"
    assert host.status()["state"] in {"running", "broken"}  # the new process may still be starting
    wait_until("the new circusd's process to be healthy", lambda: host.status()["state"] == "running")
    assert_tidy(host)
    os.kill(Circus(host.layout).pid() or 0, signal.SIGKILL)
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"
    assert_tidy(host)


def test_a_process_that_dies_comes_back(host: Host) -> None:
    """That is what the supervisor is for."""
    host.deploy("0.1.0")
    (pid,) = host.status()["processes"][0]["pids"]
    os.kill(pid, signal.SIGKILL)
    wait_until("a new process", lambda: host.status()["processes"][0]["pids"] not in ([], [pid]))
    assert host.get() == "0.1.0"


def test_the_second_of_two_deploys_is_told_about_the_first(host: Host) -> None:
    """Two at once would mix two releases; the second is told who is at work, and since when."""
    host.deploy("0.1.0")
    host.served.add(NAME, app_wheel("0.3.0", "deaf"))
    agent = host.agent(host.request("0.3.0", by="somebody@example"))
    until_step(agent, "probe")
    refused = host.deploy("0.2.0", status=1)
    assert "tiny is busy: deploy of 0.3.0 by somebody@example since 20" in refused.stderr
    assert "tiny is busy" in host.status()["note"]
    agent.communicate()
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


@contextlib.contextmanager
def small_disk(host: Host) -> Iterator[Path]:
    """A file system of 12 MB for all applications of `host`; at its end they are stopped."""
    apps = host.home / "apps"
    apps.mkdir()
    run_command("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", apps, env=host.environment)
    try:
        yield apps
    finally:
        host.release("stop", "local", status=None)
        run_command("umount", apps, env=host.environment)


@pytest.mark.needs_root
@pytest.mark.parametrize("megabytes", [8, 30])
def test_a_full_disk_leaves_the_old_release_serving(host: Host, megabytes: int) -> None:
    """It fills up while installing (8) or fetching (30); the half-made release is never used, and goes."""
    host.served.add(NAME, app_wheel("0.3.0", padding=megabytes * 1_000_000))
    with small_disk(host):
        host.deploy("0.1.0")
        failed = host.deploy_in_vain("0.3.0", serves="0.1.0")
        assert "disk is full" in failed
        assert "Traceback" not in failed
        assert releases.numbers(host.layout) == [1]
        assert_tidy(host)
        host.deploy("0.2.0")
        assert host.get() == "0.2.0"


@pytest.mark.needs_root
def test_going_back_needs_hardly_any_space(host: Host) -> None:
    """A full disk is a reason to go back: the files of that release are here, and are linked, not copied."""
    host.served.add(NAME, app_wheel("0.3.0", padding=3_000_000))
    with small_disk(host) as apps:
        host.deploy("0.3.0")
        host.deploy("0.1.0")
        host.deploy("0.3.0", status=0)
        fill(apps / "filler")
        os.truncate(apps / "filler", (apps / "filler").stat().st_size - 2_500_000)
        assert host.roll_back(2)["version"] == "0.1.0"
        assert host.roll_back(1)["version"] == "0.3.0"
        assert host.get() == "0.3.0"
        refused = host.deploy("0.2.0", status=1).stderr
        assert "The disk is nearly full" in refused


def end_a_page(path: Path) -> None:
    """Let the journal end where a page of memory ends: on a full tmpfs the next line has no place."""
    entry = journal.Entry(1, journal.PHASE_ENDED, "0.1.0", "ann@example", journal.now())
    journal.append(path, entry)
    line = path.stat().st_size - len(path.read_bytes().rstrip().rpartition(b"\n")[0]) - 1
    padding = "x" * (4096 - (path.stat().st_size + line) % 4096)
    journal.append(path, dataclasses.replace(entry, reason=padding))
    assert path.stat().st_size % 4096 == 0


WRITES = ["lock", "fetch", "install", "ready", "release", "start", "switch", "commit", "prune"]


@pytest.mark.needs_root
@pytest.mark.parametrize("step", WRITES)
def test_a_disk_that_fills_up_in_the_middle_leaves_a_whole_release_serving(host: Host, step: str) -> None:
    """Whatever is written next; what was for good before it stays."""
    host.served.add(NAME, app_wheel("0.3.0", procfile="web: python -m tiny\nrelease: true\n"))
    with small_disk(host) as apps:
        host.deploy("0.1.0")
        with Load(host.port) as load:
            with stopped_at(host, "0.3.0", step) as agent:
                end_a_page(host.layout.journal)
                fill(apps / "filler")
                agent.send_signal(signal.SIGCONT)
                told = last_event(agent)
            assert told["event"] == ("result" if step == "prune" else "error")
            assert step == "prune" or "isk is" in told["message"], "full, or nearly so"
            (apps / "filler").unlink()
            assert host.status()["state"] == "running"
            assert host.get() == host.status()["version"] == ("0.3.0" if step == "prune" else "0.1.0")
            assert_tidy(host)
            host.release("deploy", "local", f"{NAME}==0.2.0", "--retry-release")
            assert host.get() == "0.2.0"
        assert load.failed == 0


@pytest.mark.needs_root
def test_a_first_release_that_is_recorded_as_good_stays_on_a_full_disk(host: Host) -> None:
    """The journal has room for that word, and no new file has any: other hosts keep the release, too."""
    with small_disk(host) as apps:
        with stopped_at(host, "0.1.0", "commit") as agent:
            fill(apps / "filler")
            agent.send_signal(signal.SIGCONT)
            assert last_event(agent)["event"] == "result"
        (apps / "filler").unlink()
        assert host.get() == host.status()["version"] == "0.1.0"
        assert journal.read(host.layout.journal)[-1].state == journal.GOOD


def fill(path: Path) -> None:
    """Leave no space on the disk of `path`."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.mark.parametrize("step", ["lock", "install", "start", "probe", "switch", "drain", "verify", "commit"])
def test_circusd_may_be_killed_at_every_step_of_a_deploy(host: Host, step: str) -> None:
    """Its children serve on; what the deploy says then is true, and the next command repairs the rest."""
    host.deploy("0.1.0")
    with stopped_at(host, "0.2.0", step) as agent:
        os.kill(Circus(host.layout).pid() or 0, signal.SIGKILL)
        agent.send_signal(signal.SIGCONT)
        told = last_event(agent)
    wait_until("the application to run", lambda: host.status()["state"] == "running")
    assert host.get() == host.status()["version"] == ("0.2.0" if told["event"] == "result" else "0.1.0")
    assert_tidy(host)
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


@pytest.mark.parametrize("fault", [faults.truncated, faults.dropped, faults.status(503)])
def test_an_index_that_goes_down_in_the_middle_leaves_the_old_release(
    host: Host, fault: faults.Fault
) -> None:
    """Half a file is no file; when the index is back, so is the deploy."""
    host.deploy("0.1.0")
    host.served.fail("/company/dev/+f/*", fault)
    failed = host.deploy("0.2.0", status=1)
    assert "/+f/tiny-0.2.0-py3-none-any.whl could not be fetched: " in failed.stderr
    assert not [path for path in host.layout.files.rglob("*0.2.0*") if path.is_file()]
    assert host.get() == "0.1.0"
    host.served.heal()
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


def test_logs_are_followed_over_a_deploy(host: Host) -> None:
    """Who watches a deploy sees the new release without starting again."""
    host.deploy("0.1.0")
    assert host.release("logs", "local", "-n", "1").stdout.endswith("Z  web.1  and this on stderr\n")
    command = subprocess.Popen(
        [BIN / "release", "logs", "local", "-f", "-n", "0"],
        env=host.environment,
        cwd=host.project,
        stdout=subprocess.PIPE,
    )
    assert command.stdout
    wait_until("the agent to follow", lambda: psutil.Process(command.pid).children())
    host.deploy("0.2.0")
    assert b"Z  web.2  hello from 0.2.0" in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=60)
    assert command.returncode == 0
    assert "hello from 0.1.0" in host.release("logs", "local", "--release", "1").stdout

"""Deploys to real servers over ssh: all of them or none, whatever dies on the way."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from release.agents import ssh
from tests.support import hosts, ssh_target, terminals
from tests.support.servers import BIN, run_command, wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS


@pytest.fixture(scope="module")
def _three() -> Iterator[Servers]:
    with ssh_target.running("web1", "web2", "web3") as running:
        for version, fault in (("0.3.0", "import"), ("0.4.0", "web3"), ("0.5.0", "deaf")):
            running.served.add(NAME, app_wheel(version, fault))
        yield running


@pytest.fixture
def fleet(_three: Servers) -> Servers:
    """Three hosts that run 0.1.0, and on which nobody is at work."""
    _three.configure()
    _three.deploy("0.1.0", "--wait", "20")
    return _three


def test_all_hosts_are_upgraded_and_the_same_again_does_nothing(fleet: Servers) -> None:
    """One command, however many hosts."""
    done = fleet.deploy("0.2.0")
    assert done.stdout.splitlines()[-1].startswith(
        "tiny 0.2.0 runs on all 3 hosts of production: it serves /run/tiny/web.sock, and no vhost"
    )
    assert fleet.versions() == ["0.2.0"] * 3
    assert "ran tiny 0.2.0" in fleet.deploy("0.2.0").stdout
    assert [(row["host"], row["state"], row["version"]) for row in fleet.status()] == [
        (name, "running", "0.2.0") for name in ("web1", "web2", "web3")
    ]
    assert re.search(r"Z  web3  web\.\d+  hello from 0\.2\.0", fleet.release("logs", "production").stdout)


def test_on_a_terminal_each_host_is_one_line_and_ends_with_its_seconds(fleet: Servers) -> None:
    """Above the summary; with --verbose the way there, and what ran there."""
    environment = {**fleet.environment, "TERM": "xterm", "CI": ""}
    with terminals.open_terminal() as (controller, terminal):
        command = [str(BIN / "release"), "deploy", "production", f"{NAME}==0.2.0", "--verbose"]
        with subprocess.Popen(
            command,
            cwd=fleet.project,
            env=environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        ) as process:
            shown = terminals.read_until(controller, "runs on all 3 hosts")
            assert process.wait(60) == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()
    for name in ("web1", "web2", "web3"):
        assert any(line.startswith(f"{name}  command   ssh ") for line in lines)
        assert any(re.match(rf"{name}  \d+\.\d s\b", line) for line in lines)
        assert any("pip install --offline" in line for line in lines if line.startswith(f"{name}  command"))


def test_a_canary_that_fails_is_the_only_host_that_tried(fleet: Servers) -> None:
    """The others have it installed, and never start it."""
    failed = fleet.deploy("0.3.0", status=1)
    rows = [line.split()[:2] for line in failed.stdout.splitlines()[1:]]
    assert rows == [["web1", "failed"], ["web2", "untouched"], ["web3", "untouched"]], failed.stderr
    assert "Error: web1: tiny 0.3.0" in failed.stderr
    assert "no module named luck" in failed.stderr
    assert fleet.versions() == ["0.1.0"] * 3


def test_the_last_host_that_fails_takes_all_back(fleet: Servers) -> None:
    """What is broken on one host only shows there; half a fleet on each version is nobody's wish."""
    fleet.configure(health="timeout = 5.0")
    failed = fleet.deploy("0.4.0", status=1)
    rows = [line.split()[:2] for line in failed.stdout.splitlines()[1:]]
    assert rows == [["web1", "reverted"], ["web2", "reverted"], ["web3", "failed"]], failed.stderr
    assert "Error: web3: tiny 0.4.0" in failed.stderr
    assert fleet.versions() == ["0.1.0"] * 3
    fleet.deploy("0.2.0")
    assert fleet.versions() == ["0.2.0"] * 3


def test_a_host_that_is_off_is_named_and_no_other_is_touched(fleet: Servers) -> None:
    """Before anything is done on the others."""
    fleet.hosts[2].power_cut()
    try:
        began = time.monotonic()
        failed = fleet.deploy("0.2.0", status=1)
        assert time.monotonic() - began < 100
    finally:
        fleet.hosts[2].boot()
    assert "Error: web3: it cannot be reached: ssh: connect to host" in failed.stderr
    assert fleet.versions()[:2] == ["0.1.0"] * 2


def test_a_host_that_is_off_is_left_out_and_catches_up(fleet: Servers) -> None:
    """The others need not wait; it gets their number, and the release phase was run for it, too."""
    phase = "sh -c 'echo once >> $PACKHORSE_DATA/phases'"
    fleet.served.add(NAME, app_wheel("0.9.0", procfile=f"web: python -m tiny\nrelease: {phase}\n"))
    fleet.hosts[0].power_cut()
    try:
        said = fleet.deploy("0.9.0", "--skip", "web1").stdout
    finally:
        fleet.hosts[0].boot()
    assert "tiny 0.9.0 runs on 2 of 3 hosts of production" in said
    assert fleet.versions() == ["0.1.0", "0.9.0", "0.9.0"]
    assert "web1 is behind" in fleet.release("status", "production").stdout
    assert "web1" not in fleet.release("status", "production", "--limit", "web2,web3").stdout
    fleet.deploy("0.9.0")
    assert fleet.versions() == ["0.9.0"] * 3
    assert len({row["release"] for row in fleet.status()}) == 1
    there = [(host.files / "srv/apps/tiny/data/phases").exists() for host in fleet.hosts]
    assert there == [False, True, False]
    assert "Error: production has no host web9.\nHint: Its hosts are: web1, web2, web3" in (
        fleet.release("status", "production", "--limit", "web9", status=1).stderr
    )


def test_the_doctor_says_what_is_wrong_on_which_host(fleet: Servers) -> None:
    """A clock that is off by an hour, and a host that is off; the others are examined all the same."""
    (fleet.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\n')
    fleet.hosts[1].set_clock(3600)
    fleet.hosts[2].power_cut()
    try:
        done = fleet.release("doctor", "production", "--json", status=1)
    finally:
        fleet.hosts[1].set_clock(0)
        fleet.hosts[2].boot()
    found = {(one["host"], one["check"]): one["state"] for one in json.loads(done.stdout)["checks"]}
    assert found["web3", "reached"] == found["web2", "clock"] == "failed"
    for check in ("reached", "supervisor", "application", "disk", "index"):
        assert found["web1", check] == found["web2", check] == "ok"
    assert found[None, "drift"] == "ok"
    assert "2 of " in done.stderr


def test_somebody_else_s_key_is_refused(fleet: Servers) -> None:
    """Configuration with all its secrets goes to who has the key that we know, or to nobody."""
    known = fleet.net.known_hosts
    before = known.read_text()
    lines = before.splitlines()
    key = lines[0].split(maxsplit=1)[1]
    try:
        known.write_text("\n".join([*lines[:2], f"{lines[2].split()[0]} {key}", ""]))
        changed = fleet.deploy("0.2.0", status=1).stderr
        known.write_text("\n".join([*lines[:2], ""]))
        unknown = fleet.deploy("0.2.0", status=1).stderr
    finally:
        known.write_text(before)
    assert (
        "Error: web3: its host key is not the one in known_hosts.\nHint: If it was installed anew" in changed
    )
    assert "Error: web3: its host key is not known here.\nHint: Connect once by hand and compare" in unknown
    assert fleet.versions() == ["0.1.0"] * 3


def test_who_may_not_log_in_is_told_as_whom_it_was_tried(fleet: Servers) -> None:
    """The user of the target is the application's, not one's own."""
    fleet.configure('user = "somebody"', names=["web1"])
    failed = fleet.deploy("0.2.0", status=1).stderr
    assert "Error: web1: somebody may not log in: somebody@" in failed


def test_another_user_has_no_place_there(fleet: Servers) -> None:
    """A login that works is not enough."""
    fleet.hosts[0].add_user("visitor")
    fleet.configure('user = "visitor"', names=["web1"])
    failed = fleet.deploy("0.2.0", status=1).stderr
    assert "Error: web1: The agent has no place: [Errno 13] Permission denied" in failed
    assert "Traceback" not in failed


def test_a_host_that_nobody_prepared_is_named(fleet: Servers) -> None:
    """With the command that prepares it."""
    toolbox, away = "/opt/packhorse/toolbox", "/opt/packhorse/away"
    fleet.hosts[1].ssh("mv", toolbox, away)
    try:
        failed = fleet.deploy("0.2.0", status=1).stderr
    finally:
        fleet.hosts[1].ssh("mv", away, toolbox)
    assert f"Error: web2: there is no {ssh.PYTHON}.\nHint: Prepare the host: release provision" in failed


def test_a_login_shell_that_talks_is_named(fleet: Servers) -> None:
    """A greeting in .bashrc would otherwise look like a broken agent."""
    bashrc = fleet.hosts[0].files / f"home/{NAME}/.bashrc"
    before = bashrc.read_text()
    bashrc.write_text(f"echo Welcome\n{before}")
    try:
        failed = fleet.deploy("0.2.0", status=1).stderr
    finally:
        bashrc.write_text(before)
    assert "Error: web1: something else than the agent speaks: 'Welcome" in failed


def test_the_second_of_two_deployers_is_told_about_the_first_or_waits(fleet: Servers) -> None:
    """Whoever comes second, on whichever host they meet."""
    fleet.configure(health="timeout = 5.0")
    with fleet.deploying("0.5.0", until=" probe ") as first:
        refused = fleet.deploy("0.2.0", status=1).stderr
        assert "Error: web1: tiny is busy: deploy of 0.5.0 by " in refused
        fleet.deploy("0.2.0", "--wait", "60")
        assert first.wait(60) == 1
    assert fleet.versions() == ["0.2.0"] * 3


@pytest.mark.parametrize("step", ["fetch", "probe", "verify"])
def test_when_the_deploying_command_is_killed_all_hosts_are_as_before(fleet: Servers, step: str) -> None:
    """kill -9: the agents hear the end of their stdin, go back and let go of the lock."""
    with fleet.deploying("0.5.0" if step == "probe" else "0.2.0", until=f" {step} ") as process:
        process.kill()
    wait_until("the locks to be free", lambda: all(map(fleet.lock_is_free, fleet.hosts)))
    assert fleet.versions() == ["0.1.0"] * 3
    fleet.deploy("0.2.0")
    assert fleet.versions() == ["0.2.0"] * 3


def test_when_one_ssh_is_killed_all_hosts_are_as_before(fleet: Servers) -> None:
    """A connection that dies in the middle, the rest of the deploy being alive."""
    with fleet.deploying("0.5.0", until="web1  probe ") as process:
        clients = psutil.Process(process.pid).children()
        ours = [client for client in clients if "web1" in client.cmdline()]
        ours[0].kill()
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 1
    assert "Error: web1: " in said
    assert wait_until("the lock to be free", lambda: fleet.lock_is_free(fleet.hosts[0]))
    assert fleet.versions() == ["0.1.0"] * 3


def test_ctrl_c_takes_all_hosts_back(fleet: Servers) -> None:
    """At any moment; nothing of the new release stays behind."""
    with fleet.deploying("0.2.0", until="web2  probe ") as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert fleet.versions() == ["0.1.0"] * 3


def test_a_cut_cable_takes_all_back_and_frees_the_lock_on_both_sides(fleet: Servers) -> None:
    """Nobody is told: ssh notices by the silence of the host, the agent by ours."""
    host = fleet.hosts[0]
    fleet.configure(health="timeout = 90.0")
    with fleet.deploying("0.5.0", until="web1  probe ") as process:
        host.unplug()
        try:
            said = process.communicate(timeout=80)[1]  # before its health check would end
            wait_until("the lock to be free", lambda: fleet.lock_is_free(host), deadline=45)
        finally:
            host.plug_in()
    assert process.returncode == 1
    assert "Error: web1: the connection was lost" in said
    fleet.deploy("0.2.0")
    assert fleet.versions() == ["0.2.0"] * 3


def test_a_host_that_dies_in_the_middle_takes_the_others_back(fleet: Servers) -> None:
    """And comes back with a release that serves, and deploys again."""
    with fleet.deploying("0.4.0", until="web2  probe ") as process:
        fleet.hosts[1].power_cut()
        process.communicate(timeout=60)
    fleet.hosts[1].boot()
    assert process.returncode == 1
    wait_until("web2 to serve", lambda: fleet.status()[1]["state"] == "running")
    assert [fleet.get(host, "/") for host in (fleet.hosts[0], fleet.hosts[2])] == ["0.1.0"] * 2
    fleet.deploy("0.2.0")
    assert fleet.versions() == ["0.2.0"] * 3


def _files(host: hosts.Host) -> str:
    """Every file of the application, with its time and size; the agent itself has to come before it plans."""
    return host.ssh(
        "find", str(LAYOUT.folder), "-not", "-path", "*/agent*", "-type", "f", "-printf", "%p %T@ %s\n"
    ).stdout


def test_a_plan_touches_nothing(fleet: Servers) -> None:
    """And says for which hosts it holds."""
    before = [_files(host) for host in fleet.hosts]
    fleet.served.add(NAME, app_wheel("0.6.0"))
    planned = fleet.deploy("0.6.0", "--plan").stdout.splitlines()
    assert planned[0].startswith("Artifact: tiny 0.6.0 from ")
    assert planned[1] == "web1:"
    assert "  1. Fetch tiny-0.6.0-py3-none-any.whl, and what it needs and is not here yet" in planned
    assert planned[-1] == "web1 is switched first, then 1 at a time; if one fails, all go back."
    assert [_files(host) for host in fleet.hosts] == before


def test_a_rollback_goes_to_all_hosts_without_an_index(fleet: Servers) -> None:
    """The way out at night, when the index may be what is down."""
    fleet.deploy("0.2.0")
    with fleet.served.refusing():
        fleet.release("rollback", "production")
    assert fleet.versions() == ["0.1.0"] * 3
    listed = fleet.release("releases", "production").stdout
    assert listed.count("tiny on web") == 3


def _deploy_with(fleet: Servers, version: str, x: str, names: list[str] | None = None) -> int:
    """Deploy `version` with variable X, to all hosts or to `names`; the number of the release on the last."""
    fleet.configure(f'env.X = "{x}"', names=names)
    fleet.deploy(version)
    number: int = fleet.status()[-1]["release"]
    fleet.configure()
    return number


def _numbers(fleet: Servers) -> set[int]:
    return {row["release"] for row in fleet.status()}


def _configurations(fleet: Servers) -> list[str]:
    """Version and X of what each host serves."""
    variables = [json.loads(fleet.get(host, "/env")) for host in fleet.hosts]
    return [f"{version} X={env.get('X')}" for version, env in zip(fleet.versions(), variables, strict=True)]


def test_after_a_failed_deploy_a_number_is_one_release_on_all_hosts(fleet: Servers) -> None:
    """The failure has used up a number on the canary alone; a rollback to a number gave each host its own."""
    fleet.deploy("0.3.0", status=1)
    number = _deploy_with(fleet, "0.2.0", "1")
    _deploy_with(fleet, "0.2.0", "2")
    assert len(_numbers(fleet)) == 1
    with fleet.served.refusing():
        fleet.release("rollback", "production", str(number))
    assert _configurations(fleet) == ["0.2.0 X=1"] * 3
    assert len(_numbers(fleet)) == 1


def test_a_host_that_was_down_for_some_deploys_goes_back_with_the_others(fleet: Servers) -> None:
    """To what it never had, once it is named: configuration from another host, code from the index."""
    _deploy_with(fleet, "0.2.0", "1", ["web1", "web2"])
    number = _deploy_with(fleet, "0.2.0", "2", ["web1", "web2"])
    fleet.deploy("0.1.0")
    assert len(_numbers(fleet)) == 1
    refused = fleet.release("rollback", "production", status=1).stderr
    assert "Error: Hosts disagree on what to go back to: " in refused
    planned = fleet.release("rollback", "production", str(number), "--plan").stdout.splitlines()
    assert {line.split(": ")[-1] for line in planned if "another configuration" in line} == {"X"}
    assert {line.split(": ")[-1] for line in planned if "Go back" in line} == {
        "tiny 0.2.0, as configured then"
    }
    fleet.release("rollback", "production", str(number))
    assert _configurations(fleet) == ["0.2.0 X=2"] * 3
    assert len(_numbers(fleet)) == 1


@pytest.mark.parametrize("position", [0, 2])
def test_a_host_that_was_installed_anew_goes_back_with_the_others(fleet: Servers, position: int) -> None:
    """It has no release but the last one; although it is the canary."""
    number = _deploy_with(fleet, "0.2.0", "1")
    _deploy_with(fleet, "0.2.0", "2")
    fleet.install_anew(fleet.hosts[position])
    fleet.configure('env.X = "2"')
    fleet.deploy("0.2.0")
    assert _configurations(fleet) == ["0.2.0 X=2"] * 3
    assert len(_numbers(fleet)) == 1
    fleet.release("rollback", "production", str(number))
    assert _configurations(fleet) == ["0.2.0 X=1"] * 3
    assert len(_numbers(fleet)) == 1


def test_hosts_that_have_diverged_are_brought_together(fleet: Servers) -> None:
    """As rollbacks left them once: a number that means several things is refused; secrets stay secrets."""
    _deploy_with(fleet, "0.2.0", "0")  # the next number is the same on all
    first = _deploy_with(fleet, "0.2.0", "s3cret-one", ["web1"])
    assert _deploy_with(fleet, "0.2.0", "s3cret-two", ["web2", "web3"]) == first
    fleet.deploy("0.1.0")
    done = fleet.release("rollback", "production", str(first), "--json", status=1)
    assert "would run different code or configuration" in done.stderr
    _deploy_with(fleet, "0.2.0", "s3cret-one")
    assert _configurations(fleet) == ["0.2.0 X=s3cret-one"] * 3
    journals = [(host.files / LAYOUT.journal.relative_to("/")).read_text() for host in fleet.hosts]
    assert "s3cret" not in "".join([done.stdout, done.stderr, *journals])


def test_a_rollback_to_what_no_host_has_says_what_there_is(fleet: Servers) -> None:
    """And touches nothing."""
    failed = fleet.release("rollback", "production", "9999", status=1).stderr
    assert "Error: web1: tiny has no good release 9999 to go back to." in failed
    assert "Hint: The good releases here: " in failed
    assert fleet.versions() == ["0.1.0"] * 3


def test_a_connection_is_kept_open_where_the_user_shares_connections(fleet: Servers) -> None:
    """The next command is there 0.2 s earlier; and no command waits for the end of what it shares."""
    config = fleet.home / "ssh_config"
    config.write_text(f"ControlPath {fleet.home}/%n.mux\n{fleet.net.ssh_config.read_text()}")
    environment = {**fleet.environment, ssh.CONFIG: str(config)}

    def control(command: str) -> str:
        return run_command("ssh", "-F", config, "-O", command, NAME + "@web1", env=environment).stderr

    try:
        run_command(BIN / "release", "status", "production", env=environment, cwd=fleet.project, timeout=20)
        first = control("check")
        assert "Master running" in first
        run_command(BIN / "release", "status", "production", env=environment, cwd=fleet.project, timeout=20)
        assert control("check") == first
    finally:
        for name in ("web1", "web2", "web3"):
            run_command("ssh", "-F", config, "-O", "exit", f"{NAME}@{name}", env=environment, status=None)


def test_a_release_phase_that_was_cut_off_holds_all_hosts_until_somebody_looks(fleet: Servers) -> None:
    """Although only the first one has run it, and runs the next one."""
    for version, command in (("0.7.0", "sleep 1000"), ("0.8.0", "touch $PACKHORSE_DATA/ran")):
        fleet.served.add(NAME, app_wheel(version, procfile=f"web: python -m tiny\nrelease: {command}\n"))
    with fleet.deploying("0.7.0", until=" release ") as process:
        process.kill()
    wait_until("the locks to be free", lambda: all(map(fleet.lock_is_free, fleet.hosts)))
    refused = fleet.deploy("0.8.0", status=1).stderr
    assert "Error: web1: The release phase of 0.7.0 (release " in refused
    assert fleet.versions() == ["0.1.0"] * 3
    fleet.deploy("0.8.0", "--retry-release")
    assert fleet.versions() == ["0.8.0"] * 3
    assert [(host.files / "srv/apps/tiny/data/ran").exists() for host in fleet.hosts] == [True, False, False]


def test_nothing_of_ours_is_left_behind_here(fleet: Servers) -> None:
    """Every ssh client ends with its command."""
    fleet.deploy("0.2.0")
    left = subprocess.run(["pgrep", "-f", f"{fleet.net.ssh_config}.*web1"], check=False)  # noqa: S607
    assert left.returncode == 1

"""`release config` on several servers: one configuration on all of them, no failed request, and no leak."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hosts, ssh_target
from tests.support.load_client import over_ssh
from tests.support.servers import BIN
from tests.support.ssh_target import LAYOUT, Servers, run_user
from tests.support.tiny_app import NAME

pytestmark = hosts.MARKS

KEY = b"hunter2-\n$(id) \xff \"quoted\" 'single'\n"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Servers]:
    with ssh_target.running("web1", "web2", "web3") as running:
        yield running


def config(fleet: Servers, *arguments: str, stdin: bytes = b"", status: int = 0) -> bytes:
    """What `release config …` prints; when it fails, on stderr."""
    command = [str(BIN / "release"), "config", *arguments]
    done = subprocess.run(
        command, env=fleet.environment, cwd=fleet.project, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == status, done.stderr.decode(errors="replace")
    return done.stderr if status else done.stdout


def seen(fleet: Servers, name: str) -> list[str | None]:
    """Variable `name` of the process that serves, on each host."""
    return [json.loads(fleet.get(host, "/env")).get(name) for host in fleet.hosts]


def releases(fleet: Servers) -> list[tuple[int, str]]:
    """The number and the version that each host runs."""
    return [(row["release"], row["version"]) for row in fleet.status()]


def test_what_is_set_before_the_first_deploy_reaches_all_hosts(fleet: Servers) -> None:
    """Also one that was not there when it was set."""
    fleet.configure(names=["web1", "web2"])
    config(fleet, "set", "production", "KEY", stdin=KEY)
    config(fleet, "set", "production", "OTHER=1")
    fleet.configure()
    assert b"Warning" not in config(fleet, "list", "production")
    fleet.deploy("0.1.0")
    assert seen(fleet, "KEY") == [os.fsdecode(KEY)] * 3
    assert seen(fleet, "OTHER") == ["1"] * 3
    for host in fleet.hosts:
        host.ssh("test", "!", "-e", str(LAYOUT.config))


def test_no_request_fails_while_three_hosts_change(fleet: Servers) -> None:
    """Two hundred a second over all hosts, from before the command until after it."""
    fleet.deploy("0.1.0")
    with over_ssh(fleet.hosts, f"{LAYOUT.web}", rate=200) as load:
        for value in ("1", "2"):
            done = config(fleet, "set", "production", f"COLOUR={value}", f"SIZE={value}")
            assert b"on all 3 hosts of production" in done
    assert load.failed == 0
    assert load.sent > 100
    assert seen(fleet, "COLOUR") == seen(fleet, "SIZE") == ["2"] * 3
    assert len(set(releases(fleet))) == 1


def test_a_secret_is_in_files_of_its_users_and_nowhere_else(fleet: Servers) -> None:
    """Looked for in all argument lists while it is set, of this machine and of the hosts, which run on it."""
    fleet.deploy("0.1.0")
    for host in fleet.hosts[:1]:
        host.add_user("visitor")
    found: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    arguments = path.read_text(errors="replace")
                except OSError:
                    continue
                if "hunter2-everywhere" in arguments:
                    found.add(arguments)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        printed = config(fleet, "set", "production", "TOKEN", stdin=b"hunter2-everywhere")
        fleet.deploy("0.2.0")
    finally:
        over.set()
        watcher.join()
    assert not found
    printed += fleet.release("logs", "production", "-n", "1000").stdout.encode()
    printed += fleet.release("releases", "production", "--json").stdout.encode()
    for host in fleet.hosts:
        printed += host.ssh("journalctl", "--no-pager").stdout.encode()
        searched = ("etc", "home", "opt", "root", "run", "srv", "tmp", "var")
        listed = host.ssh(
            "grep", "-rlsI", "--devices=skip", "hunter2-everywhere", *(f"/{name}" for name in searched)
        )
        for name in listed.stdout.splitlines():
            assert Path(name).name == "config.json", listed.stdout
            status = host.ssh("stat", "--format=%a %U %G", name).stdout.split()
            assert status == ["640", NAME, run_user()]
    assert b"hunter2" not in printed
    secret = f"{LAYOUT.release(releases(fleet)[0][0])}/config.json"
    denied = fleet.hosts[0].ssh("cat", secret, user="visitor", status=1).stderr
    assert "Permission denied" in denied


def test_hosts_that_differ_are_named_until_somebody_says_whose_is_right(fleet: Servers) -> None:
    """One was down while the others were changed."""
    fleet.deploy("0.1.0")
    config(fleet, "set", "production", "DRIFT=hunter2-old")
    changed = config(fleet, "set", "production", "DRIFT=hunter2-new", "--skip", "web3")
    assert b"Left out: web3. Later: release config sync production --from web1" in changed
    assert "--from web1" in fleet.release("status", "production").stdout
    before = releases(fleet)
    for command in (("deploy", "production", f"{NAME}==0.2.0"), ("config", "set", "production", "X=1")):
        failed = fleet.release(*command, status=1).stderr
        assert "Error: web2 and web3 have another configuration each: DRIFT." in failed
        assert "release config sync production --from HOST" in failed
        assert "hunter2" not in failed
    assert releases(fleet) == before
    warned = fleet.release("config", "list", "production").stderr
    assert "Hosts differ from web1: web3 in DRIFT." in warned
    assert b"Hosts differ from web1" in config(fleet, "get", "production", "DRIFT", status=1)
    assert b"production has no host web9" in config(fleet, "sync", "production", "--from", "web9", status=1)
    left_out = config(fleet, "sync", "production", "--from", "web1", "--limit", "web2", status=1)
    assert b"web1 is left out by --limit or --skip; it has to take part." in left_out
    fleet.configure(names=["nowhere", "web3"])
    listed = fleet.release("config", "list", "production", status=1)
    assert "DRIFT" in listed.stdout
    assert "Error: nowhere: ssh finds no host of this name" in listed.stderr
    fleet.configure()
    config(fleet, "sync", "production", "--from", "web2")
    assert seen(fleet, "DRIFT") == ["hunter2-new"] * 3
    assert len(set(releases(fleet))) == 1
    fleet.deploy("0.2.0")


def test_a_host_that_joins_gets_what_the_others_have(fleet: Servers) -> None:
    """By a deploy; and by a change of the configuration, which brings it the code from the index, too."""
    fleet.deploy("0.1.0")
    config(fleet, "set", "production", "JOINED=1")
    fleet.install_anew(fleet.hosts[0])
    fleet.deploy("0.2.0")
    assert seen(fleet, "JOINED") == ["1"] * 3
    fleet.install_anew(fleet.hosts[2])
    config(fleet, "set", "production", "JOINED=2")
    assert seen(fleet, "JOINED") == ["2"] * 3
    assert {version for _, version in releases(fleet)} == {"0.2.0"}
    assert len(set(releases(fleet))) == 1


def test_a_deploy_a_rollback_and_a_change_at_once_do_no_harm(fleet: Servers) -> None:
    """Each has its turn, in any order, and what each did is whole, on all hosts."""
    fleet.deploy("0.1.0")
    config(fleet, "set", "production", "TURN=1")
    commands = [
        ("deploy", "production", f"{NAME}==0.2.0"),
        ("rollback", "production"),
        ("config", "set", "production", "TURN=2"),
        ("config", "set", "production", "OTHER=2"),
    ]
    with over_ssh(fleet.hosts, f"{LAYOUT.web}", rate=60) as load:
        running = [
            subprocess.Popen(
                [BIN / "release", *command, "--wait", "120"],
                env=fleet.environment,
                cwd=fleet.project,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for command in commands
        ]
        told = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, told
    assert load.failed == 0
    assert len(set(releases(fleet))) == 1
    listed = [
        [
            (row["release"], row["state"], row["version"], row["changed"], row["reason"])
            for row in host["releases"][:4]
        ]
        for host in json.loads(fleet.release("releases", "production", "--json").stdout)["hosts"]
    ]
    assert listed[0] == listed[1] == listed[2]
    assert {state for _, state, *_ in listed[0]} == {"current", "good"}
    environments = [json.loads(fleet.get(host, "/env")) for host in fleet.hosts]
    assert len({(each.get("TURN"), each.get("OTHER")) for each in environments}) == 1

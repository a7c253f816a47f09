"""`[firewall]`, `[updates]` and the time of hosts, which never shut out who sets them up."""

import ipaddress
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents, hosts
from tests.support.hosts import ports
from tests.support.servers import BIN, run_command, wait_until

pytestmark = [*hosts.MARKS, pytest.mark.needs("nft")]

# From the task on that is of interest: the rest of provisioning has tests of its own.
ONLY_BASE = (
    "--start-at-task",
    "Look for what sets the clock, and whether this is a container, whose clock is that of its machine",
)
ONLY_FIREWALL = ("--start-at-task", "Look whether this project has rules on the host")
LISTENING = {22, 80, 443, 5432, 9100, 60001}
PREFIX = "fd00:5048:"  # RFC 4193; a network for each of ours
UPDATES = '[updates]\nreboot_at = "04:30"\n'
IP = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True)
class Servers:
    """Two hosts of the target, and a stranger."""

    net: hosts.Network
    web1: hosts.Host
    web2: hosts.Host
    stranger: hosts.Host
    folder: Path

    def address6(self, host: hosts.Host) -> str:
        written = f"{PREFIX}{self.net.number:x}::{host.number + 0x10:x}"
        return str(ipaddress.ip_address(written))  # the first network is 0, which is not written

    def project(self, app: str, tables: str) -> Path:
        """The folder of a project whose target has web1 and web2."""
        folder = self.folder / app
        folder.mkdir(exist_ok=True)
        (folder / "release.toml").write_text(
            f'app = "{app}"\nindex = "https://pypi.example.com/company/dev"\n'
            f'[targets.production]\nhosts = ["web1", "web2"]\ndomains = ["{app}.example.com"]\n'
            f'[targets.production.provision]\nuser = "root"\n{tables}'
        )
        return folder

    def shop(self, more: str = "") -> Path:
        """The project with the file that docs/firewall.md shows."""
        (shown,) = [block.text for block in documents.blocks("firewall.md") if block.filename]
        own = {"10.0.0.7": self.web2.address, "fd00::7": self.address6(self.web2)}
        for address, there in own.items():
            shown = shown.replace(address, there)
        return self.project("shop", f"{shown}{more}")

    def command(self, project: Path, *options: str) -> list[str]:
        return [str(BIN / "release"), "-C", str(project), "provision", "production", *options]

    def provision(self, project: Path, *options: str, status: int = 0) -> str:
        """Run the last part of `release provision`; what it says."""
        environment = self.net.environment(self.folder)
        done = run_command(*self.command(project, *options), env=environment, status=status, timeout=300)
        return done.stdout + done.stderr

    def open_ports(self, client: hosts.Host | None, *addresses: str) -> list[set[int]]:
        """The ports of LISTENING that `client` (None: this machine) reaches at each of the addresses."""
        return ports.open_to(client, addresses, LISTENING)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with hosts.network() as net:
        web1, web2, stranger = net.hosts("web1", "web2", "stranger")
        servers = Servers(net, web1, web2, stranger, tmp_path_factory.mktemp("projects"))
        run_command(
            "ip",
            "addr",
            "add",
            f"{PREFIX}{net.number:x}::1/64",
            "dev",
            net.bridge,
            env=IP,
        )
        for host in (web1, web2, stranger):
            host.ssh("ip", "addr", "add", f"{servers.address6(host)}/64", "dev", "host0", "nodad")
        ports.listen(web1, LISTENING)
        yield servers


CLIENT = (
    "import socket; s = socket.create_connection(('{there}', 9999)); open('/root/got', 'wb').write(s.recv(9))"
)
SERVER = """
import os, socket, time
connection, _ = socket.create_server(("", 9999)).accept()
open("/root/accepted", "w")
while not os.path.exists("/root/say"):
    time.sleep(0.1)
connection.sendall(b"hello")
"""
OURS = ("inet", "packhorse")
ENTERED = "--property=ActiveEnterTimestampMonotonic"
IN_ORDER = ("packhorse-firewall.service", "network-pre.target", "ssh.service")
BLOCKER = (
    "add table inet blocker; add chain inet blocker input { type filter hook input priority -10; }; "
    "add rule inet blocker input tcp dport 22 tcp flags syn / syn,ack reject with tcp reset"
)
ADMINISTRATORS = (
    "add table inet own; add chain inet own input { type filter hook input priority 5; policy accept; }"
)
DOCKERS = (
    "add table ip nat; add chain ip nat DOCKER; add rule ip nat DOCKER tcp dport 8080 dnat to 172.17.0.2:80"
)


@pytest.fixture(scope="module")
def walled(bare: Servers) -> Servers:
    """The same hosts after `release provision`; tables of others and a connection were there before."""
    for host in (bare.web1, bare.web2):
        for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
            (host.files / "etc/systemd/system" / timer).unlink(missing_ok=True)
        host.ssh("systemctl", "daemon-reload")
    run = ("systemd-run", "--quiet", "--collect", "python3", "-c")
    bare.web2.ssh(*run, SERVER)
    wait_until("a server", lambda: ":9999 " in bare.web2.ssh("ss", "-Hltn").stdout)
    bare.web1.ssh(*run, CLIENT.format(there=bare.web2.address))
    wait_until("a client", (bare.web2.files / "root/accepted").exists)
    bare.web1.ssh("apt-get", "install", "--yes", "nftables")
    bare.web1.ssh("nft", f"{ADMINISTRATORS}; {DOCKERS}")  # from here on the kernel has conntrack
    bare.provision(bare.shop(UPDATES), *ONLY_BASE)
    return bare


def table(host: hosts.Host, *name: str) -> str:
    """What nft lists of a table there, seen from this machine, without elements of sets; "" for none."""
    command = ("ip", "netns", "exec", host._unit, "nft", "--stateless", "list", "table", *name)
    listed = run_command(*command, env=IP, status=None).stdout
    return re.sub(r"\s*elements = \{[^}]*\}", "", listed)


def attempt(seconds: int) -> str:
    """The command that tries rules of the project shop with ssh alone, as the role does; it ends at once."""
    text = json.dumps({"ssh_from": [], "allow": []})
    return f"echo {shlex.quote(text)} | packhorse-firewall try shop {seconds}"


def test_a_table_of_ports_probed_from_inside_and_outside(walled: Servers) -> None:
    """ssh, HTTP and a declared range for everybody, a declared port for one host, the rest for nobody."""
    addresses = (walled.web1.address, walled.address6(walled.web1))
    everybody = {22, 80, 443, 60001}
    assert walled.open_ports(walled.web1, *addresses, "127.0.0.1", "::1") == [LISTENING] * 4
    assert walled.open_ports(walled.web2, *addresses) == [everybody | {9100}] * 2
    assert walled.open_ports(walled.stranger, *addresses) == [everybody] * 2
    assert walled.open_ports(None, *addresses) == [everybody] * 2


def test_release_firewall_says_what_is_open_and_why(walled: Servers) -> None:
    """The table that was probed above, as the hosts have it."""
    command = (BIN / "release", "-C", walled.shop(UPDATES), "firewall", "production")
    environment = walled.net.environment(walled.folder)
    shown = run_command(*command, env=environment).stdout.splitlines()
    friend = f"{walled.web2.address} {walled.address6(walled.web2)}"
    assert [line.split(None, 2)[:2] for line in shown if line.startswith("web1 ")] == [
        ["web1", f"{port}/tcp"] for port in (22, 80, 443, 9100, "60000-60010")
    ]
    assert f"{friend} node exporter shop" in " ".join(shown[4].split())
    assert "something else" not in "".join(shown)
    told = json.loads(run_command(*command, "--json", env=environment).stdout)
    assert [(host["host"], host["loaded"], host["current"]) for host in told["hosts"]] == [
        ("web1", True, True),
        ("web2", True, True),
    ]


def test_the_second_run_changes_nothing(walled: Servers) -> None:
    """Provisioning may run every night."""
    assert "changed=0 " in walled.provision(walled.shop(UPDATES), *ONLY_BASE, "--limit", "web1")


def test_what_was_there_before_lives_on(walled: Servers) -> None:
    """Tables of others, and a connection that conntrack has never seen begin: that to a database, say."""
    assert "policy accept" in table(walled.web1, "inet", "own")
    assert "dnat to 172.17.0.2:80" in table(walled.web1, "ip", "nat")
    (walled.web2.files / "root/say").touch()
    got = walled.web1.files / "root/got"
    wait_until("the rest of the connection", lambda: got.exists() and got.read_text() == "hello")


def test_rules_without_the_deployer_are_refused(walled: Servers) -> None:
    """In two lines, before anything is loaded; with --check, too."""
    before = table(walled.web1, *OURS)
    folder = walled.project("shop", '[firewall]\nssh_from = ["192.0.2.0/24"]\n')
    for options in ((), ("--check",)):
        said = walled.provision(folder, *ONLY_FIREWALL, "--limit", "web1", *options, status=1)
        assert f"You came in from {walled.net.address}, which ssh_from leaves out" in " ".join(said.split())
        assert table(walled.web1, *OURS) == before


def test_rules_go_away_by_themselves_when_who_deploys_dies(walled: Servers) -> None:
    """Nobody confirms: systemd goes back to what was there, to the letter."""
    before = table(walled.web1, *OURS)
    said = walled.web1.ssh("sh", "-c", f"{attempt(5)}; nft list table inet packhorse").stdout
    assert said.startswith("on trial\n")
    assert "HTTP of shop" not in said
    wait_until("the old rules", lambda: table(walled.web1, *OURS) == before)
    assert "were taken back" in walled.web1.ssh("packhorse-firewall", "confirm", status=1).stderr


def test_a_boot_loads_what_was_confirmed_before_the_network(walled: Servers) -> None:
    """A power cut in the middle of a trial, say."""
    before = table(walled.web1, *OURS)
    walled.web1.ssh("sh", "-c", attempt(600))
    walled.web1.power_cut()
    walled.web1.boot()
    assert table(walled.web1, *OURS) == before
    times = walled.web1.ssh("systemctl", "show", "--value", ENTERED, *IN_ORDER).stdout.split()
    assert [int(each) for each in times] == sorted(int(each) for each in times)
    ports.listen(walled.web1, LISTENING)


def test_only_a_new_connection_confirms(walled: Servers) -> None:
    """One that was there before is let through whatever the rules say; Ansible keeps one for a minute."""
    ssh, before = str(walled.net.bin / "ssh"), table(walled.web1, *OURS)
    kept = ("-S", str(walled.folder / "kept"), "root@web1")
    run_command(ssh, "-M", "-f", "-N", *kept, env=IP)
    try:
        run_command(ssh, *kept, "--", attempt(600), env=IP)
        refused = run_command(ssh, *kept, "--", "packhorse-firewall confirm", env=IP, status=1)
    finally:
        run_command(ssh, "-O", "exit", *kept, env=IP)
    assert "This connection was there before the new rules" in refused.stderr
    walled.web1.ssh("systemctl", "start", "packhorse-firewall-return.service")  # as its timer does
    wait_until("the old rules", lambda: table(walled.web1, *OURS) == before)


def test_rules_that_let_nobody_in_are_taken_back(walled: Servers) -> None:
    """Whatever is in the way of a new connection, here another table, from the trial on."""
    before = table(walled.web1, *OURS)
    arm = ("--unit=blocker", "--path-property=PathExists=/run/packhorse-firewall/trial.json")
    walled.web1.ssh("systemd-run", "--quiet", "--collect", *arm, "nft", BLOCKER)
    folder = walled.shop("[[firewall.allow]]\nport = 5432\n")
    said = walled.provision(folder, *ONLY_FIREWALL, "--limit", "web1", status=1)
    assert "web1 lets nobody in by the new rules" in " ".join(said.split())
    wait_until("the old rules", lambda: table(walled.web1, *OURS) == before)
    run_command(
        *("ip", "netns", "exec", walled.web1._unit, "nft", "delete", "table", "inet", "blocker"), env=IP
    )


@pytest.fixture
def shared_connections(walled: Servers) -> Iterator[None]:
    """ssh's configuration keeps connections open, as many people have it."""
    config = walled.net.ssh_config
    before = config.read_text()
    config.write_text(f"{before}Host *\nControlMaster auto\nControlPersist 60\nControlPath {config}.%h\n")
    yield
    run_command(walled.net.bin / "ssh", "-O", "exit", "root@web1", env=IP, status=None)
    config.write_text(before)


@pytest.mark.usefixtures("shared_connections")
def test_each_project_has_rules_of_its_own(walled: Servers) -> None:
    """One goes, the other stays."""
    shops = walled.open_ports(walled.stranger, walled.web1.address)
    assert shops == [{22, 80, 443, 60001}]
    blog = walled.project("blog", "[firewall]\n[[firewall.allow]]\nport = 5432\n")
    walled.provision(blog, *ONLY_FIREWALL, "--limit", "web1")
    assert walled.open_ports(walled.stranger, walled.web1.address) == [shops[0] | {5432}]
    walled.provision(walled.project("blog", ""), *ONLY_FIREWALL, "--limit", "web1")
    assert walled.open_ports(walled.stranger, walled.web1.address) == shops


def test_debians_own_rules_do_not_flush_ours_away(walled: Servers) -> None:
    """Its unit runs `flush ruleset` when it starts, reloads and stops."""
    before = table(walled.web1, *OURS)
    for verb in ("start", "reload", "restart", "stop", "start", "disable --now"):
        walled.web1.ssh("systemctl", *verb.split(), "nftables")
        assert bool(table(walled.web1, "inet", "filter")) == (verb in {"start", "reload", "restart"})
        assert table(walled.web1, *OURS) == before, verb
    walled.web1.ssh("nft", ADMINISTRATORS)


def test_updates_come_by_themselves(walled: Servers) -> None:
    """apt's timers run what Debian's settings and ours say."""
    settings = walled.web1.ssh("apt-config", "dump").stdout
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "04:30";' in settings
    assert not (walled.web1.files / "etc/apt/apt.conf.d/20auto-upgrades").exists()
    timers = walled.web1.ssh("systemctl", "is-active", "apt-daily.timer", "apt-daily-upgrade.timer")
    assert timers.stdout.split() == ["active", "active"]
    walled.web1.ssh("unattended-upgrade", "--dry-run")


def test_what_is_taken_out_of_release_toml_goes_from_the_host(walled: Servers) -> None:
    """Ours alone: the tables of others stay."""
    walled.provision(walled.project("shop", ""), *ONLY_BASE, "--limit", "web1")
    assert walled.open_ports(walled.stranger, walled.web1.address) == [LISTENING]
    assert table(walled.web1, *OURS) == ""
    assert table(walled.web1, "inet", "own")
    left = walled.web1.ssh("ls", "/etc/packhorse/firewall", "/etc/apt/apt.conf.d").stdout
    assert "shop" not in left
    assert "rules" not in left


# A host that is no container, and what timesyncd would need on it: it cannot set the clock of this machine.
NO_CONTAINER = "#!/bin/sh\nexit 1\n"
WITHOUT_CLOCK = "[Unit]\nConditionVirtualization=\n[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n"


def test_the_clock_is_set_by_one_program(walled: Servers) -> None:
    """timesyncd, unless there is another: apt would remove that."""
    host, options = walled.web2, (*ONLY_BASE, "--limit", "web2")
    place = host.files / "etc/systemd/system/systemd-timesyncd.service.d/test.conf"
    place.parent.mkdir()
    place.write_text(WITHOUT_CLOCK)
    (host.files / "usr/local/bin/systemd-detect-virt").write_text(NO_CONTAINER)
    host.ssh("chmod", "+x", "/usr/local/bin/systemd-detect-virt")
    folder = walled.shop(UPDATES)
    assert "systemd-timesyncd sets the clock" in walled.provision(folder, *options)
    assert host.ssh("systemctl", "is-active", "systemd-timesyncd").stdout == "active\n"
    host.ssh("apt-get", "install", "--yes", "chrony")
    said = walled.provision(folder, *options)
    assert "chrony sets the clock" in said
    assert "changed=0 " in said

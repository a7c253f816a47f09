"""`[firewall]`, `[updates]` and the time of hosts, which never shut out who sets them up."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents, hosts
from tests.support.hosts.bare_servers import changed
from tests.support.servers import BIN, run_command, wait_until

pytestmark = [*hosts.MARKS, pytest.mark.needs("nft")]

# From the task on that is of interest: the rest of provisioning has tests of its own.
ONLY_BASE = (
    "--start-at-task",
    "Look for what sets the clock, and whether this is a container, whose clock is that of its machine",
)
ONLY_FIREWALL = ("--start-at-task", "Look whether this project has rules on the host")
LISTENING = {22, 80, 443, 5432, 9100, 60001}
LISTEN = """
import signal, socket
kept = [
    socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    for port in (443, 5432, 9100, 60001)
]
signal.pause()
"""
PROBE = """
import json, socket, sys
found = []
for address, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((address, port), timeout=5).close()
        found.append([address, port])
    except ConnectionRefusedError:  # at once, as if nothing listened
        pass
print(json.dumps(found))
"""
PREFIX = "fd00:5048:"  # RFC 4193; a network for each of ours
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
        return f"{PREFIX}{self.net.number:x}::{host.number + 0x10:x}"

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
        pairs = [(address, port) for address in addresses for port in sorted(LISTENING)]
        command = ["python3", "-c", PROBE, json.dumps(pairs)]
        if client:
            found = json.loads(client.ssh(*command).stdout)
        else:
            found = json.loads(run_command(*command, env=IP).stdout)
        return [{port for there, port in found if there == address} for address in addresses]


def listen(host: hosts.Host) -> None:
    """Let something listen at every port that sshd and nginx have not."""
    host.ssh("systemd-run", "--quiet", "--collect", "--unit=listeners", "python3", "-c", LISTEN)
    wait_until("listeners", lambda: ":60001 " in host.ssh("ss", "-Hltn").stdout)


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
        listen(web1)
        yield servers


@pytest.fixture(scope="module")
def walled(bare: Servers) -> Servers:
    """The same hosts after `release provision`; a foreign table was there before."""
    for host in (bare.web1, bare.web2):
        for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
            (host.files / "etc/systemd/system" / timer).unlink(missing_ok=True)
        host.ssh("systemctl", "daemon-reload")
    bare.provision(bare.shop('[updates]\nreboot_at = "04:30"\n'), *ONLY_BASE)
    return bare


def test_check_mode_on_bare_hosts_says_what_would_be_let_in_and_changes_nothing(bare: Servers) -> None:
    """The first thing that a careful administrator tries."""
    before = changed(bare.web1)
    said = bare.provision(bare.shop("[updates]\n"), "--check", "--diff", *ONLY_BASE)
    assert changed(bare.web1) == before
    assert '+            "port": "60000-60010",' in said
    assert '+APT::Periodic::Unattended-Upgrade "1";' in said
    assert bare.open_ports(bare.stranger, bare.web1.address) == [LISTENING]


def test_a_table_of_ports_probed_from_inside_and_outside(walled: Servers) -> None:
    """ssh, HTTP and a declared range for everybody, a declared port for one host, the rest for nobody."""
    addresses = (walled.web1.address, walled.address6(walled.web1))
    everybody = {22, 80, 443, 60001}
    assert walled.open_ports(walled.web1, *addresses, "127.0.0.1", "::1") == [LISTENING] * 4
    assert walled.open_ports(walled.web2, *addresses) == [everybody | {9100}] * 2
    assert walled.open_ports(walled.stranger, *addresses) == [everybody] * 2
    assert walled.open_ports(None, *addresses) == [everybody] * 2


def test_the_second_run_changes_nothing(walled: Servers) -> None:
    """Provisioning may run every night."""
    said = walled.provision(walled.shop('[updates]\nreboot_at = "04:30"\n'), *ONLY_BASE)
    assert said.count("changed=0 ") == 2

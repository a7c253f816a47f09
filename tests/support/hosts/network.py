"""Start test hosts at one network bridge and remove them completely, also those of a killed test."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.support.hosts import base_image, control_groups
from tests.support.hosts.host import ENVIRONMENT, Host, run
from tests.support.servers import clean_environment, run_command

STATE = Path("/var/tmp/packhorse-test-hosts")  # /tmp may be in memory
NETWORKS = 64


@dataclass
class Network:
    """Network `number` of this machine, with a /24 of the addresses that RFC 2544 reserves for tests."""

    number: int
    base: Path
    members: dict[str, Host] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return STATE / str(self.number)

    @property
    def unit(self) -> str:
        """What the names of control groups and network namespaces begin with."""
        return f"packhorse-test-{self.number}"

    @property
    def bridge(self) -> str:
        return f"pht{self.number}"

    @property
    def prefix(self) -> str:
        return f"198.18.{self.number}"

    @property
    def address(self) -> str:
        """This machine, as the hosts see it: they call it "outside"."""
        return f"{self.prefix}.1"

    @property
    def bin(self) -> Path:
        """Goes to the front of PATH: the `ssh` that knows the hosts."""
        return self.folder / "bin"

    @property
    def key(self) -> Path:
        """The private key that opens the hosts."""
        return self.folder / "key"

    @property
    def public_key(self) -> str:
        """A line for authorized_keys."""
        return self.key.with_suffix(".pub").read_text()

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`."""
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys as they were when the hosts were made."""
        return self.folder / "known_hosts"

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """For commands that reach the hosts; their state goes to `home`."""
        clean = clean_environment(home, **more)
        return {**clean, "PATH": f"{self.bin}:{clean['PATH']}"}

    def host(self, name: str, *, megabytes: int | None = None) -> Host:
        """A new server; with `megabytes`, its /srv/apps is a file system of that size."""
        host = self._add(name, megabytes)
        host.boot()
        return host

    def hosts(self, *names: str) -> list[Host]:
        """New servers, which boot at the same time."""
        added = [self._add(name, None) for name in names]
        for host in added:
            host.switch_on()
        for host in added:
            host.wait()
        return added

    def _add(self, name: str, megabytes: int | None) -> Host:
        host = Host(self, name, len(self.members))
        self.members[name] = host
        host.make(megabytes)
        names = f"127.0.0.1 localhost\n{self.address} outside\n"
        names += "".join(f"{member.address} {member.name}\n" for member in self.members.values())
        for member in self.members.values():
            (member.files / "etc/hosts").write_text(names)
        return host

    def make(self) -> None:
        """The bridge, the key, and the ssh that uses it."""
        self.bin.mkdir(parents=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", self.key)
        self.ssh_config.write_text(
            f"Host *\nIdentityFile {self.key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.known_hosts}\n"
            "StrictHostKeyChecking yes\nBatchMode yes\nConnectTimeout 5\n"
            # The first choice, sntrup761, takes 0.1 s of a processor at both ends of each login.
            "KexAlgorithms curve25519-sha256\n"
        )
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.ssh_config} "$@"\n')
        (self.bin / "ssh").chmod(0o755)
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.address}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def trust(self, host: Host) -> None:
        """Let ssh know the name, the address and the key of `host`."""
        with self.ssh_config.open("a") as config:
            config.write(f"Host {host.name}\nHostName {host.address}\n")
        key = (host.files / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        with self.known_hosts.open("a") as known:
            known.write(f"{host.address} {key}")

    def remove(self) -> None:
        """Everything of this network, as far as it is there."""
        for name in control_groups.named(f"{self.unit}-"):
            control_groups.kill(name)
        for member in self.members.values():
            member.process.wait()
        for name in _names("link", "show", "ifname"):
            if name == self.bridge or name.startswith(f"{self.bridge}v"):
                run("ip", "link", "del", name)
        for name in _names("netns", "list", "name"):
            if name.startswith(f"{self.unit}-"):
                run("ip", "netns", "del", name)
        if self.folder.exists():
            base_image.remove(self.folder)


def _names(kind: str, verb: str, key: str) -> list[str]:
    """What `ip` knows."""
    listed = run_command("ip", "--json", kind, verb, env=ENVIRONMENT).stdout
    return [item[key] for item in json.loads(listed or "[]")]


def _lock(number: int) -> IO[str] | None:
    """A file whose lock says that a test uses network `number`; None when another test does."""
    lock = (STATE / f"{number}.lock").open("w")
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    lock.close()
    return None


def _take(debian: Path) -> tuple[Network, IO[str]]:
    """A network that nobody uses, locked. What killed tests left of it and of others is removed."""
    taken: list[tuple[Network, IO[str]]] = []
    for number in range(NETWORKS):
        network = Network(number, debian)
        if taken and not network.folder.exists():
            continue
        lock = _lock(number)
        if lock is not None:
            network.remove()
            taken.append((network, lock))
    for _, lock in taken[1:]:
        lock.close()
    return taken[0]


@contextmanager
def network() -> Iterator[Network]:
    """A network of this test's own; at the end it is gone, with all of its hosts."""
    debian = base_image.base()
    STATE.mkdir(exist_ok=True)
    mine, lock = _take(debian)
    with lock:
        try:
            mine.make()
            yield mine
        finally:
            mine.remove()

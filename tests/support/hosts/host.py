"""A test host: its disk, its network cable, its power, commands on it."""

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.hosts import control_groups
from tests.support.servers import run_command, wait_until

if TYPE_CHECKING:
    from tests.support.hosts.network import Network

ENVIRONMENT = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
_CLOCK = """
import datetime, time
def late(ask):
    return lambda: ask() + {seconds}
class Late(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds={seconds})
time.time, datetime.datetime = late(time.time), Late
"""


def run(*command: str | Path) -> None:
    """Run a program of this machine."""
    run_command(*command, env=ENVIRONMENT)


@dataclass
class Host:
    """A server: on, or off after `power_cut` or `power_off`."""

    net: "Network"
    name: str
    number: int
    process: subprocess.Popen[bytes] = field(init=False, repr=False)  # systemd-nspawn, while it is on

    @property
    def address(self) -> str:
        """Where it listens: for clients of what runs on it."""
        return f"{self.net.prefix}.{self.number + 10}"

    @property
    def folder(self) -> Path:
        return self.net.folder / self.name

    @property
    def files(self) -> Path:
        """Its disk, also while it is off. Symlinks with absolute targets lead out of it: mind them."""
        return self.folder / "root"

    @property
    def _unit(self) -> str:
        return f"{self.net.unit}-{self.name}"

    @property
    def _cable(self) -> str:
        return f"{self.net.bridge}v{self.number}"

    def make(self, megabytes: int | None) -> None:
        """Its disk and its cable. With `megabytes`, /srv/apps is a file system of that size."""
        for part in ("root", "upper", "work"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir={self.net.base},upperdir={self.folder}/upper,workdir={self.folder}/work"
        # volatile: fsync does nothing. No test needs it here, as the kernel lives on over a power cut.
        run("mount", "-t", "overlay", "overlay", "-o", f"{layers},volatile", self.files)
        (self.files / "etc/hostname").write_text(f"{self.name}\n")
        (self.files / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        (self.files / "root/.ssh/authorized_keys").write_text(self.net.public_key)
        if megabytes:
            (self.files / "srv/apps").mkdir(parents=True)
            run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", self._apps)
        self.change_host_key()
        self.net.trust(self)
        run("ip", "netns", "add", self._unit)
        peer = ("type", "veth", "peer", "name", "host0", "netns", self._unit)
        run("ip", "link", "add", self._cable, *peer)
        run("ip", "-n", self._unit, "addr", "add", f"{self.address}/24", "dev", "host0")
        for link in ("lo", "host0"):
            run("ip", "-n", self._unit, "link", "set", link, "up")
        run("ip", "link", "set", self._cable, "master", self.net.bridge, "up")

    def switch_on(self) -> None:
        """Start it, and do not wait."""
        entered = control_groups.make(self._unit)
        command = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            *("--directory", str(self.files), "--machine", self.name),
            *("--network-namespace-path", f"/run/netns/{self._unit}"),
            "--capability=CAP_NET_ADMIN",  # over its own network: nftables
        ]
        with (self.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", control_groups.ENTER, *map(str, entered), *command],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers ssh and has started everything that it starts."""
        asked = ("systemctl", "is-system-running", "--wait")

        def said() -> str:
            return self.ssh(*asked, status=None).stdout.strip()

        state = wait_until(f"{self.name} to boot (see {self.folder}/console.log)", said, deadline=60)
        assert state in {"running", "degraded"}, state

    def boot(self) -> None:
        """Switch it on and wait until it is up."""
        self.switch_on()
        self.wait()

    def power_cut(self) -> None:
        """All its processes die at once."""
        control_groups.kill(self._unit)
        self.process.wait()

    def shut_down(self) -> None:
        """Switch it off as an administrator does."""
        self.ssh("systemctl", "poweroff", status=None)
        self.process.wait(120)
        self.power_cut()  # nothing is left to die: its control groups go

    def reboot(self) -> None:
        """Shut it down, and boot it."""
        self.shut_down()
        self.boot()

    def ssh(
        self, *command: str, user: str = "root", status: int | None = 0, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` there; `status` is what it must end with (None: any; 255: ssh itself failed)."""
        there = shlex.join(command)
        return run_command(
            self.net.bin / "ssh",
            f"{user}@{self.name}",
            "--",
            there,
            env=ENVIRONMENT,
            status=status,
            timeout=timeout,
        )

    def ssh_all(self, *commands: tuple[str, ...]) -> None:
        """Run `commands` there in one login, which takes half a second on a busy machine, until one fails."""
        self.ssh("sh", "-ec", "\n".join(shlex.join(command) for command in commands))

    def program(self, *command: str) -> subprocess.Popen[str]:
        """Start `command` there, as root, with pipes for its input and output."""
        ssh = [str(self.net.bin / "ssh"), f"root@{self.name}", "--", shlex.join(command)]
        return subprocess.Popen(
            ssh, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def add_user(self, name: str) -> None:
        """A user who may log in with the tests' key."""
        self.ssh_all(
            ("useradd", "--create-home", "--shell", "/bin/bash", name),
            ("cp", "-r", "/root/.ssh", f"/home/{name}/.ssh"),
            ("chown", "-R", f"{name}:", f"/home/{name}/.ssh"),
        )

    def unplug(self) -> None:
        """Pull the network cable: packets vanish, connections stay open."""
        run("ip", "link", "set", self._cable, "down")

    def plug_in(self) -> None:
        """Put the network cable back."""
        run("ip", "link", "set", self._cable, "up")

    def change_host_key(self) -> None:
        """Give it another identity, of which `net` knows nothing: as if somebody else answered."""
        key = self.files / "etc/ssh/ssh_host_ed25519_key"
        for old in key.parent.glob("ssh_host_*"):
            old.unlink()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)

    @property
    def _apps(self) -> Path:
        return self.files / "srv/apps"

    def leave_space(self, megabytes: float) -> None:
        """Leave so much in /srv/apps, which must have a size of its own (`net.host(…, megabytes=…)`)."""
        now = os.statvfs(self._apps)
        used = (now.f_blocks - now.f_bfree) * now.f_frsize
        run("mount", "-o", f"remount,size={used + int(megabytes * 2**20)}", self._apps)

    def set_clock(self, seconds: int) -> None:
        """Let the Python programs that start from now on see a clock that is off; 0: one that is right.

        A container has no clock of its own. libfaketime breaks the sleep of Python 3.11, and systemctl.
        """
        (usual,) = (self.net.base / "etc").glob("python3.*/sitecustomize.py")
        text = f"{usual.read_text()}{_CLOCK.format(seconds=seconds)}" if seconds else usual.read_text()
        (self.files / usual.relative_to(self.net.base)).write_text(text)

"""Test hosts prepared for `release deploy` over ssh, and an index that they reach."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from release.host.control import session
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, Layout
from release.host.processes import circus_ini
from tests.support.hosts import Host, Network, network
from tests.support.local_target import Index
from tests.support.servers import BIN, run_command, short_home, wait_until
from tests.support.tiny_app import NAME, app_wheel

TOOLBOX = ("circus", "packaging", "psutil", "pyzmq", "tornado", "uv")


def layout(app: str) -> Layout:
    """Where `app` lives on every host."""
    return Layout(app, SERVER_ROOT, SERVER_RUN)


LAYOUT = layout(NAME)
UNIT = """\
[Service]
User=%i
ExecStartPre=-/opt/packhorse/toolbox/bin/python -I /srv/apps/%i/agent/current.pyz boot %i
ExecStart=/opt/packhorse/toolbox/bin/python -Im circus.circusd /srv/apps/%i/circus.ini
Restart=always
RestartSec=0.2
KillMode=control-group
[Install]
WantedBy=multi-user.target
"""
ASK = """
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost", timeout=10)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/run/tiny/web.sock")
connection.request("GET", sys.argv[1])
print(connection.getresponse().read().decode())
"""


def prepare(host: Host, app: str = NAME) -> None:
    """What provisioning does, as far as `release deploy` needs it, in three seconds."""
    host.ssh("python3", "-m", "venv", "--without-pip", "/opt/packhorse/toolbox")
    site = next((host.files / "opt/packhorse/toolbox/lib").glob("python3*")) / "site-packages"
    for name in TOOLBOX:
        for file in metadata.distribution(name).files or []:
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.locate(), target)
    host.ssh("python3", "-m", "compileall", "-q", "/opt/packhorse/toolbox")  # as pip does
    host.add_user(app)
    place = layout(app)
    (host.files / f"etc/tmpfiles.d/{app}.conf").write_text(f"d {place.sockets} 0700 {app} {app}\n")
    (host.files / "etc/systemd/system/packhorse@.service").write_text(UNIT)
    host.ssh("systemd-tmpfiles", "--create", f"{app}.conf")
    host.ssh("install", "-d", "-o", app, *map(str, (place.folder, place.watchers, place.logs)))
    (host.files / place.circus_ini.relative_to("/")).write_text(circus_ini.circus_text(place, None))
    host.ssh("chown", app, str(place.circus_ini))
    host.ssh("systemctl", "enable", "--now", f"packhorse@{app}")


@dataclass
class Servers:
    """A target `production` of several hosts, seen from the project folder of somebody who deploys to it."""

    net: Network
    hosts: list[Host]
    served: Index
    home: Path

    @property
    def project(self) -> Path:
        return self.home / "src"

    @property
    def environment(self) -> dict[str, str]:
        """For commands of the deployer."""
        return self.net.environment(self.home)

    def configure(
        self, target: str = "", health: str = "timeout = 20.0", names: list[str] | None = None
    ) -> None:
        """Write release.toml."""
        self.project.mkdir(exist_ok=True)
        text = (
            f'app = "{NAME}"\nindex = "{self.served.index}"\nallow_http = true\n[health]\n{health}\n'
            f"[targets.production]\nhosts = {json.dumps(names or [host.name for host in self.hosts])}\n"
            f"graceful_timeout = 10.0\n{target}\n"
        )
        (self.project / "release.toml").write_text(text)

    def release(self, *arguments: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project."""
        program, project = BIN / "release", self.project
        return run_command(program, *arguments, env=self.environment, cwd=project, status=status)

    def deploy(self, version: str, *more: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`release deploy production tiny==VERSION`."""
        return self.release("deploy", "production", f"{NAME}=={version}", *more, status=status)

    @contextlib.contextmanager
    def deploying(self, version: str, until: str) -> Iterator[subprocess.Popen[str]]:
        """The same in the background, inside the block from when it says `until` on stderr."""
        with self._in_background(version, subprocess.PIPE) as process:
            for line in process.stderr or ():
                if until in line:
                    break
            yield process

    @contextlib.contextmanager
    def stopped_at(self, version: str, step: str) -> Iterator[subprocess.Popen[str]]:
        """The same; inside the block, the agent on the first host has stopped where `step` begins."""
        host = self.hosts[0]
        bashrc = host.files / f"home/{NAME}/.bashrc"
        before = bashrc.read_text()
        bashrc.write_text(f"export {session.STOP_AT}={step}\n{before}")
        try:
            with self._in_background(version, subprocess.DEVNULL) as process:
                stopped = ("pgrep", "--runstates", "T", "--uid", NAME)
                wait_until(step, lambda: host.ssh(*stopped, status=None).returncode == 0)
                yield process
        finally:
            bashrc.write_text(before)

    @contextlib.contextmanager
    def _in_background(self, version: str, stderr: int) -> Iterator[subprocess.Popen[str]]:
        command = [str(BIN / "release"), "deploy", "production", f"{NAME}=={version}"]
        with subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.project,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def served_by_itself(self) -> str:
        """What the first host serves as soon as it serves something, without a command of ours."""

        def answer() -> str:
            return self.hosts[0].ssh("python3", "-c", ASK, "/", status=None).stdout.strip()

        return wait_until("an answer", answer)

    def install_anew(self, host: Host, app: str = NAME) -> None:
        """Let `host` be as `prepare` left it: without a release, a file or a journal of `app`."""
        host.ssh("systemctl", "stop", f"packhorse@{app}")
        folder = layout(app).folder
        host.ssh("find", str(folder), "-mindepth", "1", "-not", "-name", "circus.ini", "-delete")
        host.ssh("install", "-d", "-o", app, str(layout(app).watchers), str(layout(app).logs))
        host.ssh("systemctl", "start", f"packhorse@{app}")

    def versions(self) -> list[str]:
        """What each host serves."""
        return [self.get(host, "/") for host in self.hosts]

    def get(self, host: Host, path: str) -> str:
        """What the application on `host` answers."""
        return host.ssh("python3", "-c", ASK, path).stdout.strip()

    def lock_is_free(self, host: Host) -> bool:
        """Whether no command holds the application's lock: seen from here, also when the host is cut off."""
        lock = host.files / LAYOUT.lock.relative_to("/")
        return run_command("flock", "-n", lock, "true", env=self.environment, status=None).returncode == 0

    def status(self) -> list[dict[str, Any]]:
        """`release status production --json`."""
        answer: list[dict[str, Any]] = json.loads(self.release("status", "production", "--json").stdout)[
            "hosts"
        ]
        return answer


@contextlib.contextmanager
def running(*names: str) -> Iterator[Servers]:
    """Prepared hosts with these names, and an index with versions 0.1.0 and 0.2.0 of the application."""
    with network() as net, short_home() as home, Index(net.address) as served:
        served.add(NAME, app_wheel("0.1.0"), app_wheel("0.2.0"))
        servers = Servers(net, net.hosts(*names), served, home)
        for host in servers.hosts:
            prepare(host)
        servers.configure()
        yield servers

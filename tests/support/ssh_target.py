"""Test hosts prepared for `release deploy` over ssh, and an index that they reach."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import jinja2

from release.deploy import balancers
from release.host import runtime
from release.host.control import session
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, SERVER_SOCKETS, Layout
from release.host.processes import circus_ini
from tests.support.hosts import Host, Network, network
from tests.support.local_target import Index
from tests.support.servers import BIN, run_command, short_home, wait_until
from tests.support.tiny_app import NAME, app_wheel

ROLE = Path(__file__).parents[2] / "ansible/roles/app_host"
TOOLBOX = ("circus", "packaging", "psutil", "pyzmq", "tornado", "uv")


def layout(app: str) -> Layout:
    """Where `app` lives on every host."""
    return Layout(app, SERVER_ROOT, SERVER_RUN)


LAYOUT = layout(NAME)
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
    install_toolbox(host)
    add_application(host, app)


def add_application(host: Host, app: str) -> None:
    """What is of one application's own."""
    host.add_user(app)
    host.ssh("install", "-d", "-o", app, "-m", "0711", str(layout(app).folder))
    supervise(host, app)


def install_toolbox(host: Host) -> None:
    """The Python of the agent, with what it imports."""
    host.ssh("python3", "-m", "venv", "--without-pip", "/opt/packhorse/toolbox")
    lib = next((host.files / "opt/packhorse/toolbox/lib").glob("python3*"))
    version, ours = lib.name.removeprefix("python"), f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == ours:
        _copy_toolbox(lib / "site-packages")
    else:  # extension modules are of one Python
        options = ("--quiet", "--no-deps", "--python-version", version, "--target", lib / "site-packages")
        pins = [f"{name}=={metadata.version(name)}" for name in TOOLBOX]
        run_command(BIN / "uv", "pip", "install", *options, *pins, env=os.environ)
    host.ssh("python3", "-m", "compileall", "-q", "/opt/packhorse/toolbox")  # as pip does


def _copy_toolbox(site: Path) -> None:
    for name in TOOLBOX:
        for file in metadata.distribution(name).files or []:
            source = Path(str(file.locate()))
            compiled = Path(cache_from_source(source))
            _copy(source, site / file)
            if compiled.exists():  # there is less left for compileall
                _copy(compiled, (site / file).parent / "__pycache__" / compiled.name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def supervise(host: Host, app: str = NAME) -> None:
    """The user that runs the processes, and its supervisor, which starts unless another one runs."""
    place, files, runner = layout(app), host.files, run_user(app)
    shutil.copy2(ROLE / "files/prepare_folders.py", files / "opt/packhorse")
    shutil.copy2(Path(runtime.__file__).with_name("supervisor.py"), files / "opt/packhorse")
    (files / "etc/packhorse/apps").mkdir(parents=True, exist_ok=True)
    ini = circus_ini.server_text(place, SERVER_SOCKETS / app)
    (files / f"etc/packhorse/apps/{app}.ini").write_text(ini)
    (files / f"etc/tmpfiles.d/{app}.conf").write_text(rendered("tmpfiles.conf.j2", app))
    for unit in ("packhorse-prepare", "packhorse"):
        text = rendered(f"{unit}@.service.j2", app)
        (files / f"etc/systemd/system/{unit}@{app}.service").write_text(text)
    for kind in ("service", "timer"):
        text = rendered(f"packhorse-jobs@.{kind}.j2", app)
        (files / f"etc/systemd/system/packhorse-jobs@{app}.{kind}").write_text(text)
    home = ("--system", "--home-dir", str(place.data), "--shell", "/usr/sbin/nologin")
    host.ssh_all(
        ("useradd", *home, "--expiredate", "1970-01-02", runner),
        ("usermod", "--append", "--groups", runner, app),
        ("systemd-tmpfiles", "--create", f"{app}.conf"),
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", "--now", f"packhorse@{app}", f"packhorse-jobs@{app}.timer"),
    )


def front(host: Host, app: str, *domains: str, balancers: Sequence[Host] = (), **more: object) -> None:
    """nginx in front of the application, as role nginx sets it up; `balancers`: in front of this host."""
    addresses = [each.address for each in balancers]
    url = f"http://{domains[0]}/" if balancers else ""
    _start_vhost(host, app, domains, nginx_balancers=addresses, nginx_url=url, **more)


def balance(host: Host, app: str, *domains: str, hosts: Sequence[Host], target: str = "production") -> None:
    """A balancer that leads to `hosts`, as role balancer sets it up; the user that deploys is there."""
    role, files, name = ROLE.parent / "balancer", host.files, balancers.led_to(app, target)
    behind = [{"name": each.name, "address": each.address} for each in hosts]
    health = {"app": app, "path": "/healthz", "host": domains[0], "scheme": "http"}
    (files / "etc/packhorse/balancers").mkdir(parents=True, exist_ok=True)
    (files / f"etc/packhorse/balancers/{name}.json").write_text(
        json.dumps({"user": app, "hosts": behind, "health": health})
    )
    shutil.copy2(role / "files/packhorse_balancer.py", files / "usr/local/bin/packhorse-balancer")
    unit = role / "templates/packhorse-balancer.service.j2"
    text = _template(unit, ansible_python_interpreter="/usr/bin/python3")
    (files / "etc/systemd/system/packhorse-balancer.service").write_text(text)
    host.ssh_all(("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", "packhorse-balancer"))
    _start_vhost(host, name, domains, nginx_hosts=behind)


def _start_vhost(host: Host, name: str, domains: Sequence[str], **more: Any) -> None:  # noqa: ANN401
    write_vhost(host, name, domains, **more)
    host.ssh("systemctl", "restart", "nginx")


def write_vhost(host: Host, name: str, domains: Sequence[str], **more: Any) -> None:  # noqa: ANN401
    """The files of a vhost, as role nginx makes them; `more`: variables of the templates."""
    role = ROLE.parent / "nginx"
    values: dict[str, Any] = {
        "nginx_names": domains,
        "nginx_hosts": [],
        "nginx_balancers": [],
        "nginx_url": "",
        "nginx_probe": "/healthz",
        "packhorse_domains": domains,
        "nginx_has_certificate": True,
        "packhorse_tls_certificate": None,
    }
    values |= {"packhorse_max_body": "10m", "packhorse_static": {}, **more}
    folder = host.files / "etc/nginx/packhorse"
    folder.mkdir(exist_ok=True)
    for template, file in (("vhost", f"{name}.conf"), ("upstream", f"{name}.upstream.conf")):
        text = _template(role / "templates" / f"{template}.conf.j2", packhorse_app=name, **values)
        (folder / file).write_text(text)
    for file in ("packhorse-log.conf", "packhorse.conf"):
        shutil.copy2(role / "files" / file, host.files / "etc/nginx/conf.d")
    shutil.copy2(role / "files/static.settings", folder)
    (host.files / "var/log/nginx/packhorse").mkdir(exist_ok=True)


def run_user(app: str = NAME) -> str:
    """Who runs the processes."""
    return f"_{app}"


def rendered(template: str, app: str) -> str:
    """A file that the role makes of `template`."""
    return _template(
        ROLE / "templates" / template,
        ansible_python_interpreter="/usr/bin/python3",
        app_host_as_deployer=["/usr/sbin/runuser", f"--user={app}", "--"],
        app_host_nginx_group="www-data",
        app_host_prefix="/opt/packhorse",
        packhorse_app=app,
        packhorse_cpu_quota=None,
        packhorse_memory_max=None,
        packhorse_open_files=65536,
        packhorse_run_user=run_user(app),
        packhorse_stop_timeout=40,
        packhorse_tasks_max=4096,
        packhorse_user=app,
        packhorse_writable=[],
    )


def _template(path: Path, **values: Any) -> str:  # noqa: ANN401  # whatever the role has
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  # no HTML
    return environment.from_string(path.read_text()).render(ansible_managed="tests", **values)


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

    def release(
        self, *arguments: str, status: int | None = 0, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project."""
        program, env = BIN / "release", self.environment
        return run_command(program, *arguments, env=env, cwd=self.project, status=status, timeout=timeout)

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
        host.ssh("find", str(folder), "-mindepth", "1", "-delete")
        host.ssh("systemctl", "start", f"packhorse@{app}")

    def versions(self) -> list[str]:
        """What each host serves."""
        return [self.get(host, "/") for host in self.hosts]

    def get(self, host: Host, path: str) -> str:
        """Answer of the application on `host`; after a boot, it may take a while to start."""

        def answers() -> list[str]:
            done = host.ssh("python3", "-c", ASK, path, status=None)
            return [] if done.returncode else [done.stdout.strip()]

        (answer,) = wait_until(f"an answer of {host.name}", answers)
        return answer

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

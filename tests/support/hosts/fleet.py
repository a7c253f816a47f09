"""A fleet for `release provision`: a balancer, two servers, a host of databases, in one release.toml."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.support.dists import Dist
from tests.support.hosts.host import ENVIRONMENT, Host
from tests.support.hosts.network import Network, network
from tests.support.servers import BIN, Mirror, run_command, running_mirror

SERVICES = {"db": "postgresql", "my": "mariadb", "cache": "redis"}
DOMAIN = "shop.example.com"
PROGRAM = "/usr/local/sbin/packhorse-service"
# What a client asks, and how it says that it is in.
_QUESTION = {"postgresql": "SELECT 'in'", "mariadb": "SELECT 'in'", "redis": "PING in"}


@dataclass(frozen=True)
class Fleet:
    """lb1 in front of web1 and web2; databases on db1, their copies on lb1; db2 is in nothing yet."""

    net: Network
    index: Mirror
    lb1: Host
    web1: Host
    web2: Host
    db1: Host
    db2: Host

    @property
    def environment(self) -> dict[str, str]:
        """For commands of who deploys."""
        return self.net.environment(self.index.home)

    def project(self, app: str, web: Sequence[Host], front: str = "", databases: str = "db1") -> Path:
        """The folder of a project on the hosts `web`; `front`: more settings of its target."""
        folder = self.index.home / app
        folder.mkdir(exist_ok=True)
        services = "".join(
            f'[services.{name}]\nkind = "{kind}"\nhosts = ["{databases}"]\nuser = "root"\n'
            f'[services.{name}.backup]\ncopy_to = "lb1"\n'
            for name, kind in SERVICES.items()
        )
        (folder / "release.toml").write_text(
            f'app = "{app}"\nindex = "{self.index.url}/company/dev"\nallow_http = true\n'
            f"[health]\ntimeout = 20.0\n{services}"
            f"[targets.production]\nhosts = {json.dumps([host.name for host in web])}\n"
            f"services = {json.dumps(list(SERVICES))}\ngraceful_timeout = 10.0\n{front}"
            '[targets.production.provision]\nuser = "root"\n'
            f'authorized_keys = ["{self.net.public_key.strip()}"]\n'
            "[firewall]\nconfirm_within = 8\n"
            f'[monitoring]\nkind = "node-exporter"\nfrom = ["{self.net.address}"]\n'
            '[updates]\nreboot_at = "04:30"\n'
        )
        return folder

    def shop(self, databases: str = "db1") -> Path:
        """The project of the application tiny."""
        front = f'domains = ["{DOMAIN}"]\nbalancer = {{ hosts = ["lb1"], user = "root" }}\n'
        return self.project("tiny", [self.web1, self.web2], front, databases)

    def run(
        self, project: Path, *arguments: str, stdin: str = "", status: int | None = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run `release` in the folder."""
        done = subprocess.run(
            [str(BIN / "release"), *arguments],
            env=self.environment,
            cwd=project,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",  # what redis-cli prints of DUMP
            check=False,
            timeout=900,
        )
        assert status in {None, done.returncode}, done.stdout + done.stderr
        return done

    def release(self, project: Path, *arguments: str, status: int | None = 0) -> str:
        """What `release` says in the folder, on both streams."""
        done = self.run(project, *arguments, status=status)
        return done.stdout + done.stderr

    def provision(self, project: Path, *options: str) -> str:
        """What `release provision production` says."""
        return self.release(project, "provision", "production", *options)

    def upload(self, project: Path, dist: Dist) -> None:
        """To the company's index."""
        (project / dist.filename).write_bytes(dist.content)
        environment = {**self.environment, "TWINE_PASSWORD": self.index.credentials["company"]}
        run_command(BIN / "release", "upload", dist.filename, env=environment, cwd=project)

    def get(self, path: str) -> str:
        """What the balancer answers."""
        with closing(http.client.HTTPConnection(self.lb1.address, timeout=20)) as connection:
            connection.request("GET", path, headers={"Host": DOMAIN})
            return connection.getresponse().read().decode()

    def service(self, command: str, name: str, status: int = 0, **more: object) -> dict[str, object]:
        """Run packhorse-service on db1, as `release services` does."""
        asked = json.dumps({"name": name, **more})
        ssh = [str(self.net.bin / "ssh"), "root@db1", "--", PROGRAM, command]
        done = subprocess.run(ssh, input=asked, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    def url(self, name: str) -> str:
        """The URL that the configuration of an application gets."""
        return str(self.service("credentials", name)["url"])

    def ask(self, host: Host, url: str, question: str = "") -> "subprocess.CompletedProcess[str]":
        """Ask a database from `host`, with the clients that lie on db1; the answer is in stdout."""
        parts = urlsplit(url)
        kind = {"mysql": "mariadb"}.get(parts.scheme, parts.scheme)
        question = question or _QUESTION[kind]
        # Passwords in the environment, as those that tests look for are in no argument list.
        secret = dict.fromkeys(("PGPASSWORD", "MYSQL_PWD", "REDISCLI_AUTH"), parts.password or "")
        place, port = ("-h", parts.hostname or ""), str(parts.port)
        tls = "require" if "sslmode=require" in parts.query else "disable"
        database, user = parts.path[1:], parts.username or ""
        command = {
            "postgresql": ("psql", "-XAtq", *place, "-p", port, "-U", user, "-d", database, "-c", question),
            "mariadb": ("mariadb", "-BN", "--ssl", *place, "-P", port, "-u", user, "-e", question, database),
            "redis": (
                "redis-cli",
                *place,
                "-p",
                port,
                "--user",
                user,
                "--no-auth-warning",
                *question.split(),
            ),
        }
        there = ("ip", "netns", "exec", host._unit, "chroot", str(self.db1.files), *command[kind])
        environment = {**ENVIRONMENT, **secret, "PGSSLMODE": tls, "PGCONNECT_TIMEOUT": "10"}
        return run_command(*there, env=environment, status=None, timeout=30)

    def is_in(self, host: Host, url: str) -> bool:
        """Whether `host` gets in with `url`."""
        return self.ask(host, url).stdout.strip() == "in"


class ArgumentLists:
    """The argument lists of all processes of this machine and its hosts while the block runs."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.05)  # the machine has other work; no program of ours ends sooner

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Client:
    """An application on web1: asks its database again and again, at the `url` of its configuration."""

    def __init__(self, fleet: Fleet, url: str) -> None:
        self.fleet, self.url = fleet, url
        self.asked, self.failed = 0, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            done = self.fleet.ask(self.fleet.web1, self.url)
            self.asked += 1
            if done.stdout.strip() != "in":
                self.failed = done.stdout + done.stderr

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def asks_again(self) -> None:
        """Wait until questions that begin from now on are answered."""
        before = self.asked
        while self.asked < before + 2 and not self.failed:
            time.sleep(0.02)


def answers(fleet: Fleet, asked: Mapping[str, str]) -> dict[str, str]:
    """What `release services shell` prints for the questions `asked` of services."""
    shop = fleet.index.home / "tiny"
    return {
        name: fleet.run(shop, "services", "shell", name, "production", stdin=text).stdout
        for name, text in asked.items()
    }


@contextmanager
def bare_fleet() -> Iterator[Fleet]:
    """Servers that are up and bare, and a mirror on this machine."""
    with network() as net, running_mirror(host=net.address) as index:
        lb1, web1, web2, db1, db2 = net.hosts("lb1", "web1", "web2", "db1", "db2")
        for host in net.members.values():  # base_image.py masks them, and [updates] is to enable them
            for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
                (host.files / "etc/systemd/system" / timer).unlink()
        fleet = Fleet(net, index, lb1, web1, web2, db1, db2)
        fleet.shop()
        yield fleet

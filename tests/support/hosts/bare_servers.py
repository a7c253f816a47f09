"""Bare test hosts for `release provision`, one for the mirror and some for an application, and a project."""

import http.client
import re
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror import state
from tests.support.dists import Dist
from tests.support.hosts.host import Host
from tests.support.hosts.network import Network, network
from tests.support.servers import BIN, Mirror, run_command, running_mirror

APP = "shop"
DOMAIN = "shop.example.com"


@dataclass(frozen=True)
class Company:
    """Its servers; `outside` is the index that the first mirror is installed from, and mirrors."""

    net: Network
    outside: Mirror
    pypi: Host
    apps: list[Host]

    @property
    def project(self) -> Path:
        """A folder with a release.toml whose target is production."""
        return self.outside.home / "project"

    @property
    def index(self) -> str:
        """What release.toml calls `index`: on the mirror that is provisioned."""
        return f"http://{self.pypi.address}/company/dev"

    def configure(self, production: str = "", provision: str = "", *, refreshes: bool = True) -> None:
        """Write release.toml, with these lines in the tables of the target, and mirror.toml."""
        refresh_at = 'refresh_at = "*-*-* 0/6:00"\n' if refreshes else ""
        index_url = self.outside.index_url("company/dev")
        (self.project / "release.toml").write_text(
            f'app = "{APP}"\nindex = "{self.index}"\nallow_http = true\n'
            f'[mirror]\nhosts = ["{self.pypi.name}"]\nuser = "root"\nindex_url = "{index_url}"\n'
            f"{refresh_at}[targets.production]\nhosts = {[host.name for host in self.apps]}\n"
            f'domains = ["{DOMAIN}"]\n{production}\n'
            f'[targets.production.provision]\nuser = "root"\n'
            f'authorized_keys = ["{self.net.public_key.strip()}"]\n{provision}\n'
            "[health]\ntimeout = 8.0\n"  # a broken release is broken within that, too
        )
        upstream = self.outside.index_url("root/pypi")
        (self.project / "mirror.toml").write_text(f'allow_http = true\n[upstream]\nurl = "{upstream}"\n')

    def release(
        self, *arguments: str, status: int | None = 0, timeout: float = 900, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project; `more` adds to the environment."""
        environment = self.net.environment(self.outside.home, **more)
        command = [str(BIN / "release"), "-C", str(self.project), *arguments]
        return run_command(*command, env=environment, status=status, timeout=timeout)

    def provision(self, *options: str) -> dict[str, int]:
        """Provision the mirror and the target at the same time; how much was changed on every host."""
        with ThreadPoolExecutor() as pool:
            runs = [
                pool.submit(self.release, "provision", name, *options) for name in ("mirror", "production")
            ]
            return {host: number for run in runs for host, number in recap(run.result().stdout).items()}

    def upload(self, artifacts: Iterable[Dist]) -> None:
        """To the mirror that was provisioned, with `release upload`."""
        kept = state.read_credentials(state.Folder(self.pypi.files / "var/lib/packhorse-mirror"))
        assert kept
        paths = [self.project / artifact.filename for artifact in artifacts]
        for path, artifact in zip(paths, artifacts, strict=True):
            path.write_bytes(artifact.content)
        self.release("upload", *map(str, paths), TWINE_PASSWORD=kept.users["company"])


def get(host: Host, path: str = "/", name: str = DOMAIN) -> tuple[int, str]:
    """What nginx on `host` answers."""
    with closing(http.client.HTTPConnection(host.address, timeout=10)) as connection:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def changed(host: Host) -> set[Path]:
    """What was written on `host` since it was made, without what logins and boots write."""
    upper = host.folder / "upper"
    own = {"tmp", "run", "root", "var/log", "var/lib/systemd", "var/cache", "var/tmp"}
    found = {
        path.relative_to(upper) for path in upper.rglob("*") if path.suffix != ".pyc" and not path.is_dir()
    }
    return {path for path in found if not any(path.is_relative_to(name) for name in own)}


def recap(said: str) -> dict[str, int]:
    """Ansible's last words: how much it changed on every host."""
    lines = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", said, re.MULTILINE)
    return {host: int(number) for host, number in lines}


@contextmanager
def company(*apps: str) -> Iterator[Company]:
    """Servers that are up and bare, and a mirror on this machine."""
    with network() as net, running_mirror(host=net.address) as outside:
        pypi, *hosts = net.hosts("pypi", *apps)
        made = Company(net, outside, pypi, hosts)
        made.project.mkdir()
        made.configure()
        yield made

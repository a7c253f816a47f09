"""A company's bare servers, one for the mirror and some for an application, and the project for them."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.host import Host
from tests.hosts.network import Network, network
from tests.integration.helpers import BIN, Mirror, run_command, running_mirror

HERE = Path(__file__).parents[2]
APP = "shop"


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

    def configure(self, production: str = "", provision: str = "") -> None:
        """Write release.toml, with these lines in the tables of the target, and mirror.toml."""
        index_url = self.outside.index_url("company/dev")
        (self.project / "release.toml").write_text(
            f'app = "{APP}"\nindex = "{self.index}"\n'
            f'[mirror]\nhosts = ["{self.pypi.name}"]\nuser = "root"\nindex_url = "{index_url}"\n'
            f"[targets.production]\nhosts = {[host.name for host in self.apps]}\n"
            f'domains = ["shop.example.com"]\n{production}\n'
            f'[targets.production.provision]\nuser = "root"\n'
            f'authorized_keys = ["{self.net.public_key.strip()}"]\n{provision}\n'
        )
        upstream = self.outside.index_url("root/pypi")
        (self.project / "mirror.toml").write_text(f'[upstream]\nurl = "{upstream}"\n')

    def release(
        self, *arguments: str, status: int = 0, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project."""
        environment = self.net.environment(self.outside.home)
        command = [str(BIN / "release"), "-C", str(self.project), *arguments]
        return run_command(*command, env=environment, status=status, timeout=timeout)


@contextmanager
def company(*apps: str) -> Iterator[Company]:
    """Servers that are up and bare, and a mirror on this machine that has Packhorse."""
    with network() as net, running_mirror(host=net.address) as outside:
        _upload_packhorse(outside)
        pypi, *hosts = net.hosts("pypi", *apps)
        made = Company(net, outside, pypi, hosts)
        made.project.mkdir()
        made.configure()
        yield made


def _upload_packhorse(index: Mirror) -> None:
    """The wheel that its users install, to company/dev."""
    sources = index.home / "src"
    sources.mkdir()
    for name in ("packhorse", "mirror", "release"):
        shutil.copytree(HERE / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(HERE / name, sources / name)
    index.run(BIN / "python", "-Im", "build", "--wheel", "--no-isolation", cwd=sources)
    (wheel,) = (sources / "dist").glob("*.whl")
    login = ("--username", "company", "--password", index.credentials["company"])
    repository = ("--repository-url", f"{index.url}/company/dev/")
    index.run(BIN / "twine", "upload", "--non-interactive", *repository, *login, wheel)

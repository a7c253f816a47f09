"""docs/twelve-factor.md: the command of each factor, on the sample application deployed to this machine."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.servers import BIN, Mirror, free_port, run_command

FACTORS = re.findall(
    r"^## (\d+\. .*?):.*?^```sh\n(.*?)^```",
    (documents.CHECKOUT / "docs" / "twelve-factor.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Project:
    """A copy of the sample application in a repository of its own, under a name of its own."""

    folder: Path
    address: str
    environment: Mapping[str, str]

    def sh(self, commands: str) -> str:
        """Their output; each has to work, or to end with the status that a comment says."""
        here = documents.script(commands.replace("127.0.0.1:8000", self.address))
        done = run_command("sh", "-eux", "-c", here, env=self.environment, cwd=self.folder, timeout=300)
        return done.stdout


@pytest.fixture(scope="module")
def project(mirror_server: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("factors") / "sample_app"
    command = ["git", "ls-files", "-z", "sample_app"]
    listed = subprocess.check_output(command, cwd=documents.CHECKOUT, text=True)
    for name in filter(None, listed.split("\0")):
        (folder.parent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(documents.CHECKOUT / name, folder.parent / name)
    settings = folder / "release.toml"
    address = f"127.0.0.1:{free_port()}"
    text = settings.read_text().replace('app = "sample-app"', 'app = "twelve-factors"')
    text = text.replace("[targets.local.env]", f'[targets.local]\nbind = "{address}"\n[targets.local.env]')
    settings.write_text(text)
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(re.sub(r'(?m)^version = ".*"$', 'version = "12.0"', pyproject.read_text()))
    index = {"UV_DEFAULT_INDEX": mirror_server.index_url("root/pypi")}
    made = Project(folder, address, {**mirror_server.environment, **index})
    made.sh("git init -q; git add .; git -c user.name=A -c user.email=a@example.com commit -qm First")
    yield made
    run_command(BIN / "release", "stop", "local", env=made.environment, cwd=folder, status=None)


def test_there_are_twelve() -> None:
    assert [title.split(".")[0] for title, _ in FACTORS] == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("commands", [text for _, text in FACTORS], ids=[title for title, _ in FACTORS])
def test_each_factor_is_shown_by_a_command(project: Project, commands: str) -> None:
    """In their order: the first builds and deploys."""
    assert project.sh(commands)

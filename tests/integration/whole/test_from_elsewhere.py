"""docs/from-heroku.md and docs/from-kamal.md: every command of ours works, on two servers."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents, file_keyring, hosts, ssh_target
from tests.support.hosts import network
from tests.support.servers import BIN, free_port, running_mirror
from tests.support.tiny_app import code

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

PAGES = ("from-heroku.md", "from-kamal.md")
APP = "shop"
IN_THE_TUTORIAL = {"release provision mirror", "release provision production"}
"""Minutes of Ansible, on servers of its own: test_tutorial.py runs them."""
ON_DATABASES = "release services"
"""What these commands begin with: test_services.py runs them, on servers with databases."""
ASKING = re.compile(r"release (config set production \w+$|login)")
SEEN = re.compile(
    r"release (build|config list|diff|doctor|jobs|journal|logs|new|pipeline|ps|releases|run|status)\b"
)
"""Commands that change nothing: what the first page has shown to work, the second need not."""
ENDLESS = re.compile(r"release (logs .* -f|local( web)?( --watch)?)$")


def commands(page: str) -> list[str]:
    """The commands of ours that a page names, in its order, each once."""
    text = (documents.CHECKOUT / "docs" / page).read_text()
    return list(dict.fromkeys(re.findall(r"`((?:release|mirror) [^`]+)`", re.sub(r"\n +", " ", text))))


@dataclass
class Reader:
    """Somebody with a project in a folder, whose servers run its first release."""

    project: Path
    environment: Mapping[str, str]
    password: str  # for uploads

    def run(self, command: str) -> str:
        """What a command of the page prints. Raises AssertionError if it fails."""
        if ENDLESS.match(command):
            return self._until_it_prints(command)
        done = subprocess.run(
            ["/bin/sh", "-c", command],  # as a reader types it
            cwd=self.project,
            env=self.environment,
            input=f"{self.password}\n" if ASKING.match(command) else "",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _until_it_prints(self, command: str) -> str:
        with subprocess.Popen(
            command.split(),
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            line = process.stdout.readline()
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
        assert line
        assert process.returncode in {0, 130}, rest
        return line

    def write(self, version: str) -> None:
        """Its application, as `version`."""
        (self.project / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "{APP}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
            f'[tool.setuptools]\npackages = ["{APP}"]\n'
        )
        package = self.project / APP
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        # It is given both by `release local`, which has the port itself then.
        text = code(version, "").replace('"PORT" in os.environ', '"LISTEN_PID" not in os.environ')
        (package / "__main__.py").write_text(text)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Its first version is release 1, and release 2 with a configuration; the second is not built yet."""
    with network() as net, running_mirror(host=net.address) as mirror:
        servers = net.hosts("web1", "web2")
        for server in servers:
            ssh_target.prepare(server, APP)
            ssh_target.front(server, APP, "shop.example.com")
        project = tmp_path_factory.mktemp("reader") / APP
        project.mkdir()
        path = f"{BIN}:{net.environment(mirror.home)['PATH']}"
        more = {**file_keyring.environment(tmp_path_factory.mktemp("keys")), "EDITOR": "true", "PATH": path}
        made = Reader(project, net.environment(mirror.home, **more), mirror.credentials["company"])
        made.write("0.1.0")
        (project / "Procfile").write_text(f"web: python -m {APP}\nworker: sleep 1000\n")
        (project / "sorry.html").write_text("<p>Sorry</p>")
        (project / ".env.production").write_text("GREETING=hello\nTOKEN=x\n")
        names = [server.name for server in servers]
        (project / "release.toml").write_text(
            f'app = "{APP}"\nindex = "{mirror.url}/company/dev"\nallow_http = true\n'
            f"[targets.production]\nhosts = {json.dumps(names)}\ngraceful_timeout = 5\nkeep = 20\n"
            '[[targets.production.jobs]]\nname = "cleanup"\n'
            'schedule = "30 3 * * *"\ncommand = "echo cleaned"\n'
            f'[targets.local]\nbind = "127.0.0.1:{free_port()}"\n'
        )
        for command in ("build", "upload", "deploy production", "config set production GREETING=hi"):
            made.run(f"release {command}")
        made.write("0.2.0")
        yield made


def test_every_command_of_the_pages_works(reader: Reader) -> None:
    """In the order of the pages, on one project: whoever follows them ends with what they say."""
    printed = {}
    tutorial = (documents.CHECKOUT / "docs/tutorial.md").read_text()
    for page in PAGES:
        listed = commands(page)
        assert len(listed) > 25
        for command in listed:
            if command in IN_THE_TUTORIAL:
                assert command in tutorial
            elif not command.startswith(ON_DATABASES) and not (command in printed and SEEN.match(command)):
                printed[command] = reader.run(command)
    assert "maintenance mode is on" in printed["release maintenance on production"]
    assert "web2" in printed["release ps production"]
    assert "30 3 * * *" in printed["release jobs production"]
    assert "cleaned" in printed["release jobs run production cleanup"]
    assert printed["release config get production GREETING"] == "hi"

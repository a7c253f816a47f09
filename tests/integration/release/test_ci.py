"""The files of docs/ci.md as CI runs them: with their variables, an empty HOME and no terminal, on two hosts.

And what the daily commands say of such hosts, when one of them is not as it should be.
"""

import json
import re
import string
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from release.provision import own_wheel
from tests.support import documents, hosts, sample_projects
from tests.support.hosts import Host, Network, network
from tests.support.servers import BIN, Mirror, run_command, running_mirror, short_home
from tests.support.ssh_target import ASK, prepare
from tests.support.tiny_app import NAME, code

pytestmark = hosts.MARKS
FILES = {block.filename: block.text for block in documents.blocks("ci.md")}
JOBS = ("release.sh", ".github/workflows/release.yml", ".gitlab-ci.yml")
Step = tuple[list[str], str, Mapping[str, str]]
"""The program that runs it, a script, and its own variables."""


def steps(name: str) -> list[Step]:
    """What CI does with a file of the page, in order."""
    text = FILES[name]
    if name == "release.sh":
        return [(["sh"], text, {})]
    job = yaml.safe_load(text)
    if name == ".gitlab-ci.yml":
        return [(["sh", "-eu"], "\n".join(job["release"]["script"]), job["release"]["variables"])]
    steps = [step for step in job["jobs"]["release"]["steps"] if "run" in step]
    common = job["jobs"]["release"]["env"]
    return [(["bash", "-e"], step["run"], {**common, **step.get("env", {})}) for step in steps]


def commands(name: str) -> list[str]:
    return [line for _, text, _ in steps(name) for line in text.splitlines() if line != "set -eu"]


def test_all_files_give_the_same_commands() -> None:
    """One that is left behind is noticed by who uses that CI, and by nobody here."""
    assert commands(JOBS[0]) == commands(JOBS[1]) == commands(JOBS[2])


@dataclass
class Job:
    """A checkout on a runner, the mirror and hosts of the company, and what CI knows."""

    net: Network
    servers: list[Host]
    mirror: Mirror
    home: Path

    @property
    def project(self) -> Path:
        return self.home / "src"

    @property
    def secrets(self) -> dict[str, str]:
        return {"INDEX_PASSWORD": self.mirror.credentials["company"], "DEPLOY_KEY": self.net.key.read_text()}

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the project, as the page lists them."""
        return {
            "RELEASE_INDEX": f"{self.mirror.url}/company/dev",
            "TWINE_USERNAME": "company",
            "TWINE_PASSWORD": self.secrets["INDEX_PASSWORD"],
            "DEPLOY_KEY": self.secrets["DEPLOY_KEY"].rstrip("\n"),  # as GitHub and GitLab hand it over
            "KNOWN_HOSTS": self.net.known_hosts.read_text(),
            "GITLAB_USER_LOGIN": "ann",
        }

    def expanded(self, text: str) -> str:
        """A value in a file of CI."""
        known = {
            **{f"secrets.{name}": value for name, value in self.secrets.items()},
            **{f"vars.{name}": value for name, value in self.variables.items()},
            "github.actor": "ann",
        }
        text = re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], text)
        return string.Template(text).substitute(self.variables) if "$GITLAB" in text else text

    @property
    def bare(self) -> dict[str, str]:
        """The environment of a runner: a Python, an empty HOME, and nothing that knows the hosts."""
        python = self.home / "python"
        return {
            "PATH": f"{python}/bin:/usr/bin:/bin",
            "HOME": str(self.home / "empty"),
            "TMPDIR": str(self.home / "tmp"),
            # Dependencies are there, as in a cache; the index is not reached by https here.
            "PIP_NO_DEPS": "1",
            "PIP_IGNORE_INSTALLED": "1",
            "PIP_TRUSTED_HOST": self.net.address,
        }

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run all steps of a file; of a workflow, a step knows its own variables alone."""
        known = {} if "github" in name else {**self.variables}
        said = []
        for program, text, own in steps(name):
            environment = {**self.bare, **known, **{key: self.expanded(value) for key, value in own.items()}}
            done = run_command(*program, "-c", text, env=environment, cwd=self.project)
            said.append(done)
        return said[-1]

    def set_version(self, version: str) -> None:
        """A commit with another version."""
        pyproject = sample_projects.pyproject(NAME, "setuptools", version=version)
        (self.project / "pyproject.toml").write_text(pyproject)
        (self.project / NAME / "__main__.py").write_text(code(version, ""))
        sample_projects.commit(self.project)

    def release(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """A command of a colleague."""
        environment = self.net.environment(self.home, **self.variables)
        return run_command(BIN / "release", *arguments, env=environment, cwd=self.project, status=status)

    def serve(self) -> list[str]:
        return [host.ssh("python3", "-c", ASK, "/").stdout.strip() for host in self.servers]


@pytest.fixture(scope="module")
def job() -> Iterator[Job]:
    with network() as net, short_home() as home, running_mirror(host=net.address) as mirror:
        made = Job(net, net.hosts("web1", "web2"), mirror, home)
        for host in made.servers:
            prepare(host)
        for name in ("empty", "tmp"):
            (home / name).mkdir()
        run_command(sys.executable, "-m", "venv", "--without-pip", home / "python", env=made.bare)
        site = next((home / "python").glob("lib/python*/site-packages"))
        (site / "cache.pth").write_text(sysconfig.get_path("purelib"))
        upload(own_wheel.build(documents.CHECKOUT, home), mirror)
        (made.project / NAME).mkdir(parents=True)
        (made.project / NAME / "__init__.py").touch()
        (made.project / "README.md").write_text("Tiny.\n")
        (made.project / "Procfile").write_text(f"web: python -m {NAME}\n")
        text = FILES["release.toml"]
        for number, host in enumerate(made.servers, 1):
            text = text.replace(f"web{number}.example.com", host.address)
        (made.project / "release.toml").write_text(f"allow_http = true\n{text}")
        run_command("git", "init", "--quiet", made.project, env=made.bare)
        yield made


def upload(wheel: Path, mirror: Mirror) -> None:
    login = ("--username", "company", "--password", mirror.credentials["company"])
    mirror.run(BIN / "twine", "upload", "--repository-url", f"{mirror.url}/company/dev/", *login, wheel)


@pytest.mark.parametrize(("name", "version"), list(zip(JOBS, ("1.0", "1.1", "1.2"), strict=True)))
def test_the_files_release_and_deploy(job: Job, name: str, version: str) -> None:
    """The last line sums it up; nothing secret is in the output, or left behind; the journal says who."""
    job.set_version(version)
    done = job.run(name)
    assert job.serve() == [version, version]
    assert done.stdout.splitlines()[-1].startswith(f"{NAME} {version} runs on all 2 hosts of production: ")
    assert not [secret for secret in job.secrets.values() if secret.strip() in done.stdout + done.stderr]
    assert "\x1b" not in done.stdout + done.stderr
    assert not list((job.home / "tmp").rglob("key"))
    listed = json.loads(job.release("releases", "production", "--json").stdout)
    newest = listed["hosts"][0]["releases"][0]
    assert (newest["version"], newest["state"]) == (version, "current")
    if name != "release.sh":
        assert newest["by"].startswith("ann by Git")


def test_a_job_that_runs_again_changes_nothing(job: Job) -> None:
    """It was cancelled after the upload, or somebody has pressed the button twice."""
    done = job.run("release.sh")
    assert "was there already, with the same bytes" in done.stdout
    assert "runs on all 2 hosts of production" in done.stdout
    assert "ran tiny 1.2" in done.stdout


def test_a_host_whose_key_nobody_knows_is_not_deployed_to(job: Job) -> None:
    """Who answers in its place would get the code, and with the next configuration the secrets."""
    *_, (program, text, _) = steps(JOBS[1])
    environment = {**job.bare, **job.variables, "KNOWN_HOSTS": ""}
    done = run_command(*program, "-c", text, env=environment, cwd=job.project, status=1)
    assert "its host key is not known here" in done.stderr


def test_releases_of_several_hosts_are_shown_together(job: Job) -> None:
    """They are equal, but for their times."""
    first, second = (host.address for host in job.servers)
    said = job.release("show", "production").stdout
    assert said.count("Release 3 of tiny") == 1
    assert f"{first}, {second}:" in said
    assert "version       1.1 -> 1.2" in job.release("diff", "production").stdout
    assert job.release("open", "production", status=1).stderr.count("has no public URL") == 1


def test_releases_of_a_host_are_completed_over_a_connection_that_is_open(job: Job) -> None:
    """To open one takes too long for a key: without it there is nothing, at once."""
    config = job.home / "ssh_config"
    config.write_text(f"ControlPath {job.home}/%C\n{job.net.ssh_config.read_text()}")
    line = {"COMP_WORDS": "release rollback production ", "COMP_CWORD": "3"}
    own = {**job.bare, "RELEASE_SSH_CONFIG": str(config)}

    def completed() -> list[str]:
        more = {**line, "_RELEASE_COMPLETE": "bash_complete"}
        return run_command(BIN / "release", env={**own, **more}, cwd=job.project).stdout.split()

    assert completed() == []
    run_command(BIN / "release", "releases", "production", env=own, cwd=job.project)
    assert completed() == ["plain,3", "plain,2", "plain,1"]
    for host in job.servers:
        run_command("ssh", "-F", config, "-O", "exit", "-l", NAME, host.address, env=own)


def test_a_host_that_talks_garbage_and_one_that_is_down_are_lines_of_the_pipeline(job: Job) -> None:
    """The others are shown; the exit status is that of success."""
    good, bad = job.servers
    bashrc = bad.files / f"home/{NAME}/.bashrc"
    before = bashrc.read_text()
    release_toml = job.project / "release.toml"
    text = release_toml.read_text()
    down = f'[targets.down]\nhosts = ["{job.net.prefix}.250"]\n[targets.one]\nhosts = ["{good.address}"]\n'
    try:
        for garbage in ("echo 42", "exit 3", "printf '\\033[2J\\377\\n'"):
            bashrc.write_text(f"{garbage}\n{before}")
            found = json.loads(job.release("pipeline", "--json").stdout)["targets"]
            assert [cell["version"] for cell in found[0]["hosts"]] == ["1.2", None], garbage
            assert found[0]["hosts"][1]["error"]
        release_toml.write_text(text + down)
        said = job.release("pipeline").stdout
        assert "\x1b" not in said
        assert [line.split()[:3] for line in said.splitlines()[3:] if "." in line] == [
            ["production", good.address, "1.2"],
            ["production", bad.address, "-"],
            ["down", f"{job.net.prefix}.250", "-"],
            ["one", good.address, "1.2"],
        ]
    finally:
        bashrc.write_text(before)
        release_toml.write_text(text)

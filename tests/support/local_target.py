"""Deploy the tiny application to the local target, from an index on loopback."""

import dataclasses
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from release import index
from release.config import company_index, release_toml
from release.deploy import requests
from release.host.control import session
from release.host.disk.layout import Layout
from release.host.processes import process_table
from release.host.request import Deploy, Request, Rollback, encode
from tests.support.dists import Dist
from tests.support.faults import Answer
from tests.support.load_client import Load
from tests.support.servers import BIN, clean_environment, free_port, run_command, wait_until
from tests.support.tiny_app import NAME, app_wheel
from tests.support.upstream import Upstream


class Index(Upstream):
    """An index with devpi's address: pages at <url>/+simple/."""

    @property
    def index(self) -> str:
        """What release.toml calls `index`."""
        return f"http://{self.address}:{self.port}/company/dev"

    def file_path(self, dist: Dist) -> str:
        return f"/company/dev/+f/{dist.filename}"

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/company/dev":
            config = {"type": "indexconfig", "result": {"type": "stage", "bases": []}}
            return Answer(200, {"Content-Type": "application/json"}, json.dumps(config).encode())
        return super().answer(path.replace("/company/dev/+simple/", "/simple/"), headers)


class Host:
    """The local target of one test: an application of its own, on a port of its own."""

    def __init__(self, home: Path, served: Index) -> None:
        self.home = home
        self.served = served
        self.port = free_port()
        self.project = home / "src"
        self.project.mkdir()
        self.configure()

    def configure(self, target: str = "", health: str = "timeout = 20.0", env: str = "") -> None:
        """Write release.toml."""
        text = (
            f'app = "{NAME}"\nindex = "{self.served.index}"\n[health]\n{health}\n'
            f'[targets.local]\nbind = "127.0.0.1:{self.port}"\ngraceful_timeout = 10.0\n{target}\n'
            f"[targets.local.env]\n{env}\n"
        )
        (self.project / "release.toml").write_text(text)

    @property
    def layout(self) -> Layout:
        """Where it lies."""
        return Layout(NAME, self.home / "apps", self.home / "run")

    @property
    def environment(self) -> dict[str, str]:
        """For commands that a user starts; the secret of its shell must not reach the application."""
        return clean_environment(self.home, LEAK="from the shell")

    def release(
        self, *arguments: str, status: int | None = 0, timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project."""
        return run_command(
            BIN / "release",
            *arguments,
            env=self.environment,
            cwd=self.project,
            status=status,
            timeout=timeout,
        )

    def deploy(self, version: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`release deploy local tiny==VERSION`."""
        return self.release("deploy", "local", f"{NAME}=={version}", status=status)

    def deploy_in_vain(self, version: str, serves: str) -> str:
        """What a deploy says that fails, while `serves` goes on serving without a failed request."""
        with Load(self.port) as load:
            failed = self.deploy(version, status=1).stderr
            assert self.get() == serves
        assert load.failed == 0
        return failed

    def status(self) -> dict[str, Any]:
        """`release status local --json`."""
        answer: dict[str, Any] = json.loads(self.release("status", "local", "--json").stdout)["hosts"][0]
        return answer

    def get(self, path: str = "/") -> str:
        """The body that the application answers with 200."""
        return get(self.port, path)

    def request(self, version: str, gates: Sequence[str] = (), **fields: object) -> Deploy:
        """The request that a deploy sends to the agent, with other `gates` and `fields`."""
        settings = release_toml.load(self.project)
        wanted = requests.parse(f"{NAME}=={version}")
        listed = index.company_files(self.served.index, NAME, index.get)
        found = requests.artifact(listed, wanted, self.served.index)
        target = settings.target("local")
        own = {
            "content": requests.content(settings, target, found, {}),
            "bind": target.address,
            "target_name": "local",
            "index_url": company_index.simple_url(self.served.index),
            "silence": None,  # tests say nothing while they look
        }
        change = requests.change(Deploy, NAME, target, self.home, **{**own, **fields})
        return dataclasses.replace(change, gates=list(gates))

    def agent(self, request: Request, **environment: str) -> "subprocess.Popen[str]":
        """Start an agent with `request`; its events are lines on stdout."""
        process = subprocess.Popen(
            [sys.executable, "-Im", "release.host"],
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert process.stdin
        process.stdin.write(encode(request).decode())
        process.stdin.flush()
        return process

    def ask(self, kind: type[Request], **fields: object) -> dict[str, Any]:
        """The last event of an agent that gets a request of `kind`."""
        target = release_toml.load(self.project).target("local")
        return last_event(
            self.agent(requests.request(kind, NAME, target, self.home, target_name="local", **fields))
        )

    def roll_back(self, release: int | None = None) -> dict[str, Any]:
        """The last event of an agent that goes back to `release`, without an index."""
        return self.ask(Rollback, release=release, keep=5, index_url=None, key="key")


def get(port: int, path: str = "/") -> str:
    """The body that whoever listens on `port` here answers with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200, body
    return body


def last_event(agent: "subprocess.Popen[str]") -> dict[str, Any]:
    """What an agent ends with; until then somebody is there."""
    assert agent.stdout
    with agent:
        *_, last = agent.stdout
    answer: dict[str, Any] = json.loads(last)
    return answer


@contextmanager
def stopped_at(
    host: Host,
    version: str,
    step: str,
    **fields: Any,  # noqa: ANN401  # those of Deploy
) -> "Iterator[subprocess.Popen[str]]":
    """A deploy whose agent has stopped (SIGSTOP) where `step` begins; SIGCONT lets it go on."""
    with host.agent(host.request(version, **fields), **{session.STOP_AT: step}) as agent:
        try:
            process = psutil.Process(agent.pid)
            wait_until(f"the agent to reach {step}", lambda: process.status() == psutil.STATUS_STOPPED)
            yield agent
        finally:
            agent.kill()


def until_step(agent: "subprocess.Popen[str]", name: str) -> None:
    """Read the agent's events up to the beginning of step `name`."""
    assert agent.stdout
    for line in agent.stdout:
        event = json.loads(line)
        assert event["event"] in {"step", "command"}, event
        if event.get("name") == name:
            return


def until_gate(agent: "subprocess.Popen[str]", name: str) -> dict[str, Any]:
    """Read the agent's events up to gate `name`, and return what it says there."""
    assert agent.stdout
    for line in agent.stdout:
        event: dict[str, Any] = json.loads(line)
        assert event["event"] in {"step", "command", "gate"}, event
        if event["event"] == "gate" and event["name"] == name:
            return event
    raise AssertionError(f"the agent ended before {name}")


def tell(agent: "subprocess.Popen[str]", **line: str) -> None:
    """Send a line to an agent that waits."""
    assert agent.stdin
    agent.stdin.write(json.dumps(line) + "\n")
    agent.stdin.flush()


@contextmanager
def running_host(home: Path) -> Iterator[Host]:
    """A host, and an index with versions 0.1.0 and 0.2.0 of the application; all is stopped at the end."""
    with Index() as served:
        served.add(NAME, app_wheel("0.1.0"), app_wheel("0.2.0"))
        host = Host(home, served)
        try:
            yield host
        finally:
            host.release("stop", "local", status=None)
            assert not process_table.find(host.layout)

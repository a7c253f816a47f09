"""Any two commands at once do no harm: each is done, or refused with a word on who is at work."""

import contextlib
import dataclasses
import http.client
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from release.config import release_toml
from release.deploy import requests
from release.host import request
from release.host.disk import journal, releases
from release.host.processes import circus_ini, process_table
from release.host.processes.circusd import Circus
from tests.support.local_target import Host, running_host
from tests.support.servers import short_home
from tests.support.tiny_app import NAME, app_wheel

if TYPE_CHECKING:
    import subprocess

VERSIONS = itertools.cycle(["0.3.0", "0.4.0"])
JOB = '[[targets.local.jobs]]\nname = "cleanup"\nschedule = "yearly"\ncommand = "python -c \'import tiny\'"\n'


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.configure(target=JOB)
        for version in ("0.3.0", "0.4.0"):
            running.served.add(NAME, app_wheel(version, procfile="web: python -m tiny\nworker: sleep 1000\n"))
            running.deploy(version)
        yield running


def earlier(host: Host) -> int:
    """The newest good release to which a rollback can go."""
    good = {
        n for n, state in journal.states(journal.read(host.layout.journal)).items() if state == journal.GOOD
    }
    return max(good & set(releases.numbers(host.layout)) - {releases.current(host.layout)})


def asked(kind: type[request.Request], **fields: object) -> Callable[[Host], request.Request]:
    """A request of `kind` to this machine's target."""

    def make(host: Host) -> request.Request:
        target = release_toml.load(host.project).target("local")
        if issubclass(kind, request.Change):
            own: dict[str, Any] = {"release": earlier(host)} if kind is request.Rollback else {}
            own |= {"target_name": "local", "index_url": None}
            made = requests.change(kind, NAME, target, host.home, **own, **fields)
            return dataclasses.replace(made, gates=[])
        return requests.request(kind, NAME, target, host.home, target_name="local", **fields)

    return make


CHANGES: dict[str, Callable[[Host], request.Request]] = {
    "deploy": lambda host: host.request(next(VERSIONS)),
    "deploy --maintenance": lambda host: host.request(next(VERSIONS), maintenance=True),
    "rollback": asked(request.Rollback),
    "config set": asked(request.Configure, values={"X": "y"}),
    "scale 2": asked(request.Scale, counts={"web": 2, "worker": 2}),
    "scale 1": asked(request.Scale, counts={"web": 1, "worker": 1}),
    "ps restart": asked(request.Restart, process=None),
    "ps stop worker": asked(request.Stop, process="worker"),
    "ps start worker": asked(request.Start, process="worker"),
    "stop": asked(request.Stop),
    "start": asked(request.Start),
    "maintenance on": asked(request.Maintenance, on=True),
    "maintenance off": asked(request.Maintenance, on=False),
    "logs drain off": asked(request.LogDrain, to="off"),
    "status": asked(request.Status),
}
READS: dict[str, Callable[[Host], request.Request]] = {
    "releases": asked(request.Releases),
    "journal": asked(request.Journal, lines=5),
    "ps": asked(request.Ps),
    "run": asked(request.Run, arguments=["python", "-c", "import tiny"], terminal=None),
    "jobs run": asked(request.Run, arguments=[], terminal=None, job="cleanup"),
    "verify": asked(request.Verify),
    "logs -f": asked(request.Logs, lines=5, follow=True, release=None),
    "show": asked(request.Show, releases=[None]),
    "doctor": asked(request.Doctor, index_url=None, key="key", toolbox_sha256=""),
}
PAIRS = [
    *itertools.combinations_with_replacement(CHANGES, 2),
    *itertools.product(["deploy", "rollback", "scale 2", "stop", "maintenance on"], READS),
]


def last(agent: "subprocess.Popen[str]") -> dict[str, Any]:
    """What it ends with."""
    assert agent.stdout
    with agent:
        *_, line = agent.stdout
    answer: dict[str, Any] = json.loads(line)
    return answer


def side_by_side(host: Host, pair: tuple[str, str]) -> list[dict[str, Any]]:
    """The last events of two commands that begin at the same time."""
    made = [{**CHANGES, **READS}[name](host) for name in pair]
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(host.agent(each)) for each in made]
        endless = [agent for name, agent in zip(pair, agents, strict=True) if name == "logs -f"]
        answers = [last(agent) for agent in agents if agent not in endless]
        for agent in endless:
            assert agent.stdout
            next(line for line in agent.stdout if '"caught up"' in line)  # it may just have begun
            assert agent.poll() is None  # it goes on, whatever the other one did
            assert agent.stdin
            agent.stdin.close()
            answers.append(last(agent))
    return answers


def answer(host: Host) -> int | None:
    """The status of an answer at the public address, None without one."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().status
    return None


def check(host: Host) -> None:
    """What is on disk, what runs, and what users get, is one and the same."""
    status = host.ask(request.Status)
    assert status["note"] == ""
    maintenance, stopped = host.layout.maintenance.exists(), host.layout.stopped.exists()
    assert status["state"] == ("stopped" if stopped else "running"), status
    assert answer(host) == (None if stopped else 503 if maintenance else 200)
    entries = journal.read(host.layout.journal)
    assert journal.TRIAL not in journal.states(entries).values()
    current = releases.current(host.layout)
    assert current == journal.last_good(entries)
    found = process_table.find(host.layout)
    assert {process.release for process in found} <= ({None} if stopped else {None, current})
    if not stopped:
        circus = Circus(host.layout)
        known = {pid for name in [*circus.watchers(), circus_ini.FORWARD] for pid in circus.pids(name)}
        assert {process.pid for process in found} <= {*known, circus.pid()}


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_at_once(host: Host, pair: tuple[str, str]) -> None:
    """Nobody talks to the others before each command."""
    if host.layout.stopped.exists():
        host.ask(request.Start)
    if host.layout.maintenance.exists():
        host.ask(request.Maintenance, on=False)
    refused = [each for each in side_by_side(host, pair) if each["event"] == "error"]
    for each in refused:
        stopped = "stop" in pair and each["message"] == "All of tiny is stopped."  # that one came first
        assert stopped or "is busy: " in each["message"], each
        assert each["hint"]
    assert len(refused) < len(pair)
    check(host)

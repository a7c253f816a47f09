"""Maintenance mode on this machine: who gets the page, and what it outlives."""

import http.client
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from release.host.disk import journal
from release.host.processes import circus_ini
from release.host.processes.circusd import Circus
from release.host.request import Maintenance
from tests.support.load_client import Load
from tests.support.local_target import Host, running_host, stopped_at
from tests.support.servers import short_home, wait_until
from tests.support.tiny_app import NAME, app_wheel


@pytest.fixture(scope="module")
def _host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.served.add(NAME, app_wheel("0.3.0", "import"))
        yield running


@pytest.fixture
def host(_host: Host) -> Host:
    """It serves 0.1.0, and is not in maintenance mode."""
    _host.release("maintenance", "off", "local")
    _host.deploy("0.1.0")
    assert _host.get() == "0.1.0"
    return _host


def ask(host: Host, path: str = "/") -> tuple[int, str]:
    """Status and body of an answer at the public address."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def state(host: Host) -> dict[str, Any] | None:
    """What `release maintenance local --json` says."""
    answer = json.loads(host.release("maintenance", "local", "--json").stdout)["hosts"][0]
    found: dict[str, Any] | None = answer["maintenance"]
    return found


def test_users_get_the_page_and_open_paths_the_application(host: Host) -> None:
    """And no process has changed."""
    pids = host.status()["processes"][0]["pids"]
    page = host.project / "sorry page.html"
    page.write_text("<p>Wir sind gleich zurück</p>")
    options = ("--page", str(page), "--retry-after", "60", "--allow", "/env")
    said = host.release("maintenance", "on", "local", *options).stdout
    assert "503 with a page of yours, Retry-After 60 s; open: /env" in said
    assert ask(host) == (503, "<p>Wir sind gleich zurück</p>")
    assert [ask(host, path)[0] for path in ("/env", "/env/../", "//env", "/?/env")] == [200, 503, 503, 503]
    status = host.status()
    assert (status["state"], status["processes"][0]["pids"]) == ("running", pids)
    assert status["maintenance"]["allow"] == ["/env"]
    assert "maintenance mode is on since" in host.release("status", "local").stdout
    listed = host.release("ps", "local").stdout.splitlines()
    assert "maintenance mode is on since" in listed[1]
    assert [line.split()[0] for line in listed[3:]] == ["web"]
    host.release("maintenance", "on", "local")
    assert "Back in a moment" in ask(host)[1]
    assert host.release("maintenance", "off", "local").stdout == "tiny on local: maintenance mode is off\n"
    assert host.release("maintenance", "off", "local").stdout == "tiny on local: maintenance mode is off\n"
    assert host.get() == "0.1.0"
    assert host.status()["processes"][0]["pids"] == pids
    assert [entry.reason for entry in journal.read(host.layout.journal)][-4:-2] == [
        "maintenance on --allow /env --page",
        "maintenance on",
    ]


def test_no_request_is_lost_when_it_goes_on_and_off(host: Host) -> None:
    """Each is answered by the application, or with 503."""
    with Load(host.port, good=(200, 503)) as load:
        for _ in range(20):
            assert host.ask(Maintenance, on=True)["maintenance"]
            assert ask(host)[0] == 503
            assert host.ask(Maintenance, on=False)["maintenance"] is None
            assert ask(host)[0] == 200
    assert (load.failed, load.statuses) == (0, {200, 503})


def test_deploys_and_rollbacks_go_on_behind_it(host: Host) -> None:
    """The new release is healthy on its own socket, and is looked at through an open path."""
    host.release("maintenance", "on", "local", "--allow", "/look")
    with Load(host.port, good=(503,)) as load:
        assert "maintenance mode is on" in host.deploy("0.2.0").stdout
        assert ask(host, "/look") == (200, "0.2.0")
        host.deploy("0.3.0", status=1)
        assert ask(host, "/look") == (200, "0.2.0")
        host.release("rollback", "local")
        assert ask(host, "/look") == (200, "0.1.0")
    assert load.failed == 0
    host.release("maintenance", "off", "local")
    assert host.get() == "0.1.0"


def test_a_restart_of_everything_keeps_it(host: Host) -> None:
    """After a reboot nobody would want to find the site open."""
    host.release("maintenance", "on", "local")
    host.release("stop", "local")
    assert state(host)
    host.release("start", "local")
    assert ask(host)[0] == 503
    pid = Circus(host.layout).pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    host.release("status", "local")
    assert ask(host)[0] == 503
    host.release("maintenance", "off", "local")
    assert host.get() == "0.1.0"


def test_the_program_that_answers_is_started_again(host: Host) -> None:
    """By circusd, like any other."""
    host.release("maintenance", "on", "local")

    def program() -> list[psutil.Process]:
        everything = psutil.process_iter(["cmdline"])
        return [p for p in everything if str(host.layout.maintenance_program) in (p.info["cmdline"] or [])]

    (before,) = program()
    before.kill()
    wait_until("another", lambda: [p for p in program() if p.pid != before.pid])
    host.release("status", "local")
    assert ask(host)[0] == 503
    host.release("maintenance", "off", "local")
    assert program() == []
    assert not host.layout.watcher_ini(circus_ini.MAINTENANCE).exists()


def phase(host: Host, version: str, end: str) -> None:
    """Add a version whose release phase asks the public address, and ends with `end`."""
    look = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{host.port}/')"
    procfile = f'web: python -m tiny\nrelease: python -c "{look}"; {end}\n'
    host.served.add(NAME, app_wheel(version, procfile=procfile))


def test_a_deploy_turns_it_on_for_itself(host: Host) -> None:
    """From before the release phase, which changes the database, until the new release serves."""
    phase(host, "0.4.0", "true")
    said = host.release("deploy", "local", f"{NAME}==0.4.0", "--maintenance").stderr
    assert "HTTP Error 503" in said
    assert (host.get(), state(host)) == ("0.4.0", None)


def test_a_deploy_that_fails_turns_it_off_again(host: Host) -> None:
    """What ran before serves on, as after any other; but not if somebody had turned it on."""
    phase(host, "0.5.0", "exit 3")
    host.release("deploy", "local", f"{NAME}==0.5.0", "--maintenance", status=1)
    assert (host.get(), state(host)) == ("0.1.0", None)
    host.release("maintenance", "on", "local")
    host.release("deploy", "local", f"{NAME}==0.3.0", "--maintenance", status=1)
    host.release("deploy", "local", f"{NAME}==0.2.0", "--maintenance")
    assert (ask(host)[0], bool(state(host))) == (503, True)


@pytest.mark.parametrize("step", ["start", "probe", "verify", "commit", "drain"])
def test_a_killed_deploy_leaves_it_visible_and_the_next_command_ends_it(host: Host, step: str) -> None:
    """Whatever the deploy became, the application serves."""
    with stopped_at(host, "0.2.0", step, maintenance=True) as agent:
        assert ask(host)[0] == 503
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        left = state(host)
        assert left
        assert left["deploy"]
        assert host.status()["maintenance"] is None
    assert host.get() == ("0.2.0" if step == "drain" else "0.1.0")
    reasons = [entry.reason for entry in journal.read(host.layout.journal)]
    assert "maintenance off: its deploy was interrupted" in reasons


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"", []),
        (b"\xff\xfe", []),
        (b"x" * 1_000_001, []),
        (b"x", ["--allow", "/"]),
        (b"x", ["--allow", "/a/../b"]),
        (b"x", ["--retry-after", "0"]),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(host: Host, content: bytes, options: list[str]) -> None:
    """Each with a word on what would be right."""
    page = host.project / "page.html"
    page.write_bytes(content)
    refused = host.release("maintenance", "on", "local", "--page", str(page), *options, status=None)
    assert refused.returncode in {1, 2}
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) in {2, 4}
    assert state(host) is None


def test_before_the_first_deploy_it_waits_for_it(home: Path) -> None:
    """Who wants to look first, leaves a path open."""
    with running_host(home) as host:
        host.release("maintenance", "on", "local", "--allow", "/look")
        assert state(host)
        assert host.release("status", "local").stdout.count("maintenance mode is on") == 1
        host.deploy("0.1.0")
        assert (ask(host)[0], ask(host, "/look")) == (503, (200, "0.1.0"))
        host.release("maintenance", "off", "local")
        assert host.get() == "0.1.0"

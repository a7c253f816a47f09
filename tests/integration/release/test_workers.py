"""Processes without a socket, and applications that behave badly: what runs beside what, and what is left."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from release.host.processes import process_table
from tests.support.load_client import Load
from tests.support.local_target import Host, running_host
from tests.support.servers import wait_until
from tests.support.tiny_app import NAME, app_wheel

WEB = "web: python -m tiny\n"
# Says when it begins and ends, and takes half a second to finish what it works on.
WORKER = (
    "worker: sh -c 'echo begin $PACKHORSE_RELEASE >> $PLACE/work; "
    'trap "sleep 0.5; echo end $PACKHORSE_RELEASE >> $PLACE/work; exit" TERM; '
    "while :; do sleep 0.05; done'\n"
)
BROKEN = "worker: sh -c 'echo no queue; exit 1'\n"


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        running.configure(env=f'PLACE = "{home}"')
        yield running


def work(host: Host) -> list[str]:
    return (host.home / "work").read_text().splitlines()


def add(host: Host, *procfiles: str) -> None:
    for number, procfile in enumerate(procfiles, 3):
        host.served.add(NAME, app_wheel(f"0.{number}.0", procfile=procfile))


def test_a_worker_stops_before_the_next_one_starts(host: Host) -> None:
    """Two that work at the same time do everything twice; a type that goes from the Procfile stops."""
    add(host, WEB + WORKER, WEB + WORKER)
    host.deploy("0.3.0")
    with Load(host.port) as load:
        host.deploy("0.4.0")
        wait_until("the next worker", lambda: work(host) == ["begin 1", "end 1", "begin 2"])
        host.deploy("0.1.0")
    assert load.failed == 0
    assert work(host)[3:] == ["end 2"]
    assert [row["process"] for row in host.status()["processes"]] == ["web"]


def test_an_application_may_have_workers_only(host: Host) -> None:
    """Nobody probes it, nothing public leads to it, and it may get a web, and lose it again."""
    add(host, WORKER, WORKER, BROKEN, WEB + WORKER)
    said = host.deploy("0.3.0").stdout
    assert "it has no web, and answers no requests" in said
    assert "runs already" in host.deploy("0.3.0").stdout
    host.deploy("0.4.0")
    host.deploy("0.5.0", status=1)
    wait_until("the worker is back", lambda: work(host)[-1] == "begin 2")
    assert (host.status()["state"], host.status()["version"], host.status()["url"]) == (
        "running",
        "0.4.0",
        None,
    )
    host.deploy("0.6.0")
    assert host.get() == "0.6.0"
    host.deploy("0.4.0")
    assert not host.layout.web.is_symlink()
    for command in ("stop", "start"):
        host.release(command, "local")
    assert host.status()["state"] == "running"


def test_a_worker_may_overlap(host: Host) -> None:
    """When no moment may be without one, and twice does no harm."""
    host.configure(env=f'PLACE = "{host.home}"\n[targets.local.processes.worker]\noverlap = true')
    add(host, WEB + WORKER, WEB + WORKER)
    host.deploy("0.3.0")
    host.deploy("0.4.0")
    assert work(host) == ["begin 1", "begin 2", "end 1"]


@pytest.mark.parametrize("overlap", ["true", "false"])
def test_a_worker_that_ends_at_once_is_an_unhealthy_release(host: Host, overlap: str) -> None:
    """Nobody would notice for days that no mail is sent; the old worker works on."""
    host.configure(env=f'PLACE = "{host.home}"\n[targets.local.processes.worker]\noverlap = {overlap}')
    add(host, WEB + WORKER, WEB + BROKEN)
    host.deploy("0.3.0")
    failed = host.deploy_in_vain("0.4.0", serves="0.3.0")
    assert "worker of tiny 0.4.0 (release 2) is not healthy: its process ended at once" in failed
    assert "no queue" in failed
    wait_until("the worker", lambda: work(host)[-1] == "begin 1")
    rows = host.status()["processes"]
    assert [(row["process"], row["release"], row["health"]) for row in rows] == [
        ("web", 1, "healthy"),
        ("worker", 1, "healthy"),
    ]


def test_a_worker_has_a_time_limit_of_its_own(host: Host) -> None:
    """A report takes minutes, a request seconds: the target's limit of 10 s would end neither well."""
    host.configure(env=f'PLACE = "{host.home}"\n[targets.local.processes.worker]\nstop_timeout = 1.0')
    endless = "worker: sh -c 'trap \"\" TERM; echo $$ >> $PLACE/work; while :; do sleep 0.05; done'\n"
    add(host, WEB + endless)
    host.deploy("0.3.0")
    assert "graceful_timeout = 6\n" in host.layout.watcher_ini("worker.1").read_text()
    host.deploy("0.1.0")
    assert not process_table.wait(process_table.alive_of([int(work(host)[0])]), 0)


@pytest.mark.parametrize("fault", ["slow", "loud", "stubborn", "family"])
def test_an_application_that_behaves_badly_is_replaced_all_the_same(host: Host, fault: str) -> None:
    """It takes 4 s to begin, writes 100 MB, ignores SIGTERM or leaves children behind: nobody notices."""
    host.served.add(NAME, app_wheel("0.3.0", fault))
    host.deploy("0.1.0")
    with Load(host.port) as load:
        host.deploy("0.3.0")
        assert host.get() == "0.3.0"
        host.deploy("0.2.0")
        assert host.get() == "0.2.0"
    assert load.failed == 0
    assert {process.release for process in process_table.find(host.layout)} == {None, 3}
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "1003"]]
    assert not left
    assert sum(path.stat().st_size for path in host.layout.logs.iterdir()) < 60 * 2**20


def test_values_of_every_kind_arrive(host: Host) -> None:
    """Shells, ini files and circus read some of these characters; none of them sees a value."""
    value = "$HOME %s ; # \" ' \\ $(circus.wid) ((x)) \n second line \t ü € 😀 =end"
    host.configure(env=f"TOKEN = {json.dumps(value, ensure_ascii=False)}")
    host.deploy("0.1.0")
    assert json.loads(host.get("/env"))["TOKEN"] == value

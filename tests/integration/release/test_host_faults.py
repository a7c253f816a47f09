"""What goes wrong on a server: its power, the supervisor below systemd, and its clock."""

from collections.abc import Iterator

import pytest

from release.host.disk import journal
from tests.support import hosts, ssh_target
from tests.support.servers import wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

STEPS = [
    *("lock", "preflight", "fetch", "install", "ready", "release", "start", "probe"),
    *("switch", "verify", "verdict", "commit", "prune", "drain"),
]
FOR_GOOD = {"prune", "drain"}


@pytest.fixture(scope="module")
def web() -> Iterator[Servers]:
    """A host that runs one of two versions; the other one is what the next test deploys."""
    with ssh_target.running("web1") as running:
        procfile = "web: python -m tiny\nrelease: true\n"
        running.served.add(NAME, app_wheel("0.3.0", procfile=procfile), app_wheel("0.4.0", procfile=procfile))
        running.deploy("0.3.0")
        yield running


def old_and_new(web: Servers) -> tuple[str, str]:
    """What the host serves, and what it does not."""
    old = web.served_by_itself()
    return old, "0.3.0" if old == "0.4.0" else "0.4.0"


def circusd(host: hosts.Host) -> str:
    """Its process id, "0" for none."""
    shown = ("systemctl", "show", f"packhorse@{NAME}", "--property", "MainPID", "--value")
    return host.ssh(*shown).stdout.strip()


@pytest.mark.parametrize("step", STEPS)
def test_the_power_may_fail_at_every_step(web: Servers, step: str) -> None:
    """The host comes back with a whole release, and whoever deploys next meets nothing half done."""
    old, new = old_and_new(web)
    with web.stopped_at(new, step):
        web.hosts[0].power_cut()
    web.hosts[0].boot()
    assert web.served_by_itself() == (new if step in FOR_GOOD else old)
    (row,) = web.status()
    assert (row["state"], row["version"]) == ("running", new if step in FOR_GOOD else old)


@pytest.mark.parametrize("step", ["start", "switch", "verdict", "commit"])
def test_circusd_may_be_killed_in_the_middle(web: Servers, step: str) -> None:
    """systemd starts it again under the deploy, whose last word is true all the same."""
    old, new = old_and_new(web)
    host = web.hosts[0]
    with web.stopped_at(new, step) as process:
        before = circusd(host)
        host.ssh("systemctl", "kill", "--kill-whom=main", "--signal=KILL", f"packhorse@{NAME}")
        wait_until("another circusd", lambda: circusd(host) not in {"0", before})
        web.served_by_itself()
        host.ssh("pkill", "-CONT", "--runstates", "T", "--uid", NAME)
        status = process.wait(90)
    assert web.served_by_itself() == (old if status else new)
    (row,) = web.status()
    assert (row["state"], row["version"]) == ("running", old if status else new)
    web.deploy(new)
    assert web.versions() == [new]


def test_a_clock_that_is_an_hour_off_changes_nothing(web: Servers) -> None:
    """Ahead, then behind, then right: what came after what is counted, not timed."""
    host = web.hosts[0]
    old, new = old_and_new(web)
    began = len(journal.read(host.files / LAYOUT.journal.relative_to("/")))
    for seconds, version in ((3600, new), (-3600, old), (0, new)):
        host.set_clock(seconds)
        host.ssh("systemctl", "restart", f"packhorse@{NAME}")
        web.deploy(version)
        assert web.versions() == [version]
    web.release("rollback", "production")
    assert web.versions() == [old]
    assert web.status()[0]["state"] == "running"
    times = [entry.at for entry in journal.read(host.files / LAYOUT.journal.relative_to("/"))[began:]]
    assert times != sorted(times), "the clock was right"

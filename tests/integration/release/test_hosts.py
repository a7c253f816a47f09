"""tests.support.hosts: the servers that other tests rely on, and that nothing is left of them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hosts
from tests.support.hosts import control_groups
from tests.support.hosts.network import STATE

pytestmark = hosts.MARKS


@pytest.fixture(scope="module")
def net() -> Iterator[hosts.Network]:
    with hosts.network() as network:
        yield network


@pytest.fixture(scope="module")
def web1(net: hosts.Network) -> hosts.Host:
    return net.host("web1")


@pytest.fixture(scope="module")
def web2(net: hosts.Network) -> hosts.Host:
    return net.host("web2", megabytes=20)


def test_a_host_is_a_debian_with_systemd_and_a_name(web1: hosts.Host) -> None:
    """As a server is."""
    assert web1.ssh("systemctl", "is-active", "ssh").stdout == "active\n"
    assert web1.ssh("hostname").stdout == "web1\n"
    assert web1.ssh("systemctl", "--failed", "--quiet").stdout == ""


def test_hosts_end_services_of_their_own_only(web1: hosts.Host, web2: hosts.Host) -> None:
    """In one control group, one systemd would end the processes of the other."""
    web1.ssh("systemctl", "start", "nginx")
    web2.ssh("systemctl", "stop", "nginx")
    assert web1.ssh("pgrep", "-c", "nginx").stdout.strip() != "0"
    assert web2.ssh("pgrep", "-c", "nginx", status=1).stdout == "0\n"


def test_hosts_see_each_other_and_this_machine_and_nothing_else(
    net: hosts.Network, web1: hosts.Host, web2: hosts.Host
) -> None:
    """No test may reach the internet through them."""
    assert web2.address in web1.ssh("getent", "hosts", "web2").stdout
    assert net.address in web1.ssh("getent", "hosts", "outside").stdout
    assert "default" not in web1.ssh("ip", "route").stdout


def test_a_power_cut_ends_every_process_and_keeps_the_disk(web1: hosts.Host) -> None:
    """Tests of faults boot from what the host had written."""
    before = web1.ssh("cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout
    web1.ssh("touch", "/root/kept")
    web1.power_cut()
    web1.ssh("true", status=255)
    web1.boot()
    web1.ssh("ls", "/root/kept")
    assert web1.ssh("cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout != before


def test_a_reboot_stops_services_in_order(web1: hosts.Host) -> None:
    """Unlike a power cut."""
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=touch /root/stopped\n"
    (web1.files / "etc/systemd/system/last.service").write_text(unit)
    web1.ssh("systemctl", "daemon-reload")
    web1.ssh("systemctl", "start", "last")
    web1.reboot()
    assert (web1.files / "root/stopped").exists()


def test_an_unplugged_host_is_silent(web1: hosts.Host) -> None:
    """A cut cable sends no reset: only time tells."""
    web1.unplug()
    began = time.monotonic()
    said = web1.ssh("true", status=255).stderr
    assert "timed out" in said or "No route" in said
    assert time.monotonic() - began > 2
    web1.plug_in()
    web1.ssh("true")


def test_a_changed_host_key_is_refused(net: hosts.Network) -> None:
    """ssh must not talk to whoever took a server's address."""
    host = net.host("impostor")
    host.change_host_key()
    assert "verification failed" in host.ssh("true", status=255).stderr


def test_a_small_disk_fills_and_empties(web2: hosts.Host) -> None:
    """What is written is there; what does not fit is refused."""
    web2.leave_space(megabytes=1)
    web2.ssh("dd", "if=/dev/zero", "of=/srv/apps/file", "bs=1M", "count=3", status=1)
    web2.ssh("rm", "/srv/apps/file")
    web2.leave_space(megabytes=10)
    web2.ssh("dd", "if=/dev/zero", "of=/srv/apps/file", "bs=1M", "count=3")


def test_a_clock_can_be_off(web2: hosts.Host) -> None:
    """For sessions and services alike; time goes on at its pace."""
    web2.set_clock(3600)
    there = "import datetime, time; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
    wall, date, monotonic = map(float, web2.ssh("python3", "-I", "-c", there).stdout.split())
    assert 3500 < wall - time.time() < 3700
    assert 3500 < date - time.time() < 3700
    assert abs(monotonic - time.monotonic()) < 100
    web2.set_clock(0)
    assert abs(float(web2.ssh("python3", "-I", "-c", there).stdout.split()[0]) - time.time()) < 100


def test_what_a_killed_test_leaves_the_next_one_removes() -> None:
    """Somebody will press Ctrl-C twice."""
    program = (
        "from tests.support import hosts\n"
        "with hosts.network() as net:\n"
        "    net.host('left')\n"
        "    print(net.number, flush=True)\n"
        "    input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    number = int(process.stdout.readline())
    process.kill()
    process.communicate()
    assert control_groups.alive(f"packhorse-test-{number}-left")
    with hosts.network():
        pass
    assert not control_groups.named(f"packhorse-test-{number}-left")
    assert not (STATE / str(number) / "left").exists()
    assert f"packhorse-test-{number}-left" not in Path("/proc/self/mountinfo").read_text()

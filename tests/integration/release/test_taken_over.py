"""A host on which one user deployed and ran an application, as earlier versions made it, is taken over."""

from collections.abc import Iterator

import pytest

from release.host.processes import circus_ini
from tests.support import hosts, ssh_target
from tests.support.hosts import network
from tests.support.local_target import Index
from tests.support.servers import short_home
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

UNIT = """\
[Service]
User=%i
WorkingDirectory=/srv/apps/%i
ExecStart=/opt/packhorse/toolbox/bin/python -Im circus.circusd /srv/apps/%i/circus.ini
Restart=always
KillMode=control-group
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def old() -> Iterator[Servers]:
    """A host that was provisioned by an earlier version, and runs 0.1.0 after 0.2.0."""
    with network() as net, short_home() as home, Index(net.address) as served:
        served.add(NAME, app_wheel("0.1.0"), app_wheel("0.2.0"))
        (web1,) = net.hosts("web1")
        ssh_target.install_toolbox(web1)
        web1.add_user(NAME)
        folders = (LAYOUT.folder, LAYOUT.watchers, LAYOUT.logs)
        web1.ssh("install", "-d", "-o", NAME, "-g", NAME, *map(str, folders))
        (web1.files / f"etc/tmpfiles.d/{NAME}.conf").write_text(f"d {LAYOUT.sockets} 2710 {NAME} www-data\n")
        web1.ssh("systemd-tmpfiles", "--create", f"{NAME}.conf")
        (web1.files / "etc/systemd/system/packhorse@.service").write_text(UNIT)
        (web1.files / LAYOUT.circus_ini.relative_to("/")).write_text(circus_ini.circus_text(LAYOUT, None))
        web1.ssh("chown", NAME, str(LAYOUT.circus_ini))
        web1.ssh("systemctl", "enable", "--now", f"packhorse@{NAME}")
        servers = Servers(net, [web1], served, home)
        servers.configure()
        servers.deploy("0.2.0")
        servers.deploy("0.1.0")
        yield servers


def owner(web: Servers) -> str:
    """Who runs the application."""
    pid = str(web.status()[0]["processes"][0]["pids"][0])
    return web.hosts[0].ssh("stat", "-c", "%U", f"/proc/{pid}").stdout.strip()


def test_a_host_of_one_user_goes_on_and_becomes_one_of_two_at_its_next_restart(old: Servers) -> None:
    """Nothing is dropped by provisioning; until the restart all works as before, and says what is missing."""
    host = old.hosts[0]
    pids = old.status()[0]["processes"][0]["pids"]
    ssh_target.supervise(host)
    assert old.status()[0]["processes"][0]["pids"] == pids
    said = old.deploy("0.2.0").stderr
    assert f"systemctl restart packhorse@{NAME}" in said
    assert (old.versions(), owner(old)) == (["0.2.0"], NAME)
    host.ssh("systemctl", "restart", f"packhorse@{NAME}")
    assert old.served_by_itself() == "0.2.0"
    assert owner(old) == ssh_target.run_user()
    old.release("rollback", "production")
    assert (old.versions(), owner(old)) == (["0.1.0"], ssh_target.run_user())
    assert "systemctl restart" not in old.deploy("0.2.0").stderr
    assert "hello from 0.2.0" in old.release("logs", "production").stdout
    assert len(old.release("releases", "production").stdout.splitlines()) == 7

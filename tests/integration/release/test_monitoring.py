"""Monitoring of hosts: nginx's logs and their rotation, metrics of hosts and applications, who may ask."""

import gzip
import http.client
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support import hosts, ssh_target
from tests.support.load_client import Load
from tests.support.servers import wait_until
from tests.support.tiny_app import NAME

pytestmark = hosts.MARKS

DOMAIN = "tiny.example.com"
LOGS = "var/log/nginx/packhorse"


@pytest.fixture(scope="module")
def servers() -> Iterator[ssh_target.Servers]:
    """A host with the application, on which `release provision` has run the roles from nginx on."""
    with ssh_target.running("web1") as made:
        provision = '[targets.production.provision]\nuser = "root"\n'
        made.configure(target=f'domains = ["{DOMAIN}"]\n{provision}')
        made.release("provision", "production", "--start-at-task", "Install nginx")
        made.deploy("0.1.0")
        yield made


@pytest.fixture
def web1(servers: ssh_target.Servers) -> hosts.Host:
    return servers.hosts[0]


def asked(host: hosts.Host, path: str, method: str = "GET", **headers: str) -> int:
    """The status that nginx on `host` answers."""
    with closing(http.client.HTTPConnection(host.address, timeout=30)) as connection:
        connection.request(method, path, headers={"Host": DOMAIN, **headers})
        return connection.getresponse().status


def logged(host: hosts.Host) -> list[str]:
    """The lines of the access log and its rotated parts."""
    folder = host.files / LOGS
    parts = [part for part in folder.glob(f"{NAME}.access.log*") if part.exists()]
    return [
        line
        for part in parts
        for line in (gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes())
        .decode()
        .splitlines()
    ]


def test_the_access_log_has_times_and_domain_and_no_query_string(web1: hosts.Host) -> None:
    """Tokens travel in query strings, of referring pages, too; logs are read by many."""
    asked(web1, "/reset?token=s3cret", Referer="http://a.example.com/b?token=s3cret#token=s3cret")
    line = wait_until("the line", lambda: [line for line in logged(web1) if "/reset" in line])[0]
    expected = (
        r'"GET /reset HTTP/1.1" 200 5 "http://a.example.com/b" "-" "tiny.example.com" 0.\d{3} "0.\d{3}"'
    )
    assert re.search(f"] {expected}$", line)
    assert not any("s3cret" in line for line in logged(web1))


def test_no_line_is_lost_when_logs_are_rotated_under_load(web1: hosts.Host) -> None:
    """nginx writes to the file that was moved away until it opens the new one."""
    before = len(logged(web1))
    with Load(80, address=web1.address, host=DOMAIN) as load:
        for turn in range(4):
            more = 60 * turn
            wait_until("some requests", lambda: load.sent > more)  # noqa: B023  # called at once
            web1.ssh("logrotate", "--force", f"/etc/logrotate.d/packhorse-{NAME}")
    assert load.failed == 0
    wait_until("all lines", lambda: len(logged(web1)) - before >= load.sent)
    assert len(logged(web1)) - before == load.sent
    size = (web1.files / LOGS / f"{NAME}.access.log").stat().st_size
    asked(web1, "/")
    wait_until(
        "nginx to use the new file", lambda: (web1.files / LOGS / f"{NAME}.access.log").stat().st_size > size
    )


def test_a_log_that_has_reached_its_size_is_rotated_by_its_timer(web1: hosts.Host) -> None:
    """Debian looks once a day: at 10,000 requests a second that is a full disk."""
    log = web1.files / LOGS / f"{NAME}.access.log"
    parts = len(list(log.parent.glob(f"{log.name}*")))
    assert web1.ssh("systemctl", "is-active", "packhorse-logrotate.timer").stdout == "active\n"
    web1.ssh("truncate", "--size=101M", f"/{LOGS}/{NAME}.access.log")
    web1.ssh("systemctl", "start", "packhorse-logrotate")
    assert len(list(log.parent.glob(f"{log.name}*"))) == parts + 1
    assert log.stat().st_size < 2**20

"""Monitoring of hosts: nginx's logs and their rotation, metrics of hosts and applications, who may ask."""

import base64
import gzip
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import documents, hosts, ssh_target
from tests.support.hosts.bare_servers import changed
from tests.support.load_client import Load
from tests.support.servers import run_command, wait_until
from tests.support.tiny_app import NAME

pytestmark = [*hosts.MARKS, pytest.mark.needs("promtool")]

DOMAIN = "tiny.example.com"
FROM_NGINX = ("--start-at-task", "Install nginx")
ROLE_ALONE = ("--start-at-task", "Set up monitoring")
EXPORTER = "prometheus-node-exporter"
LOGS = "var/log/nginx/packhorse"


@pytest.fixture(scope="module")
def servers() -> Iterator[ssh_target.Servers]:
    """web1 with the application, on which `release provision` has run the roles from nginx on; web2 asks."""
    with ssh_target.running("web1", "web2") as made:
        configure(made, "node-exporter")
        provision(made, "production", *FROM_NGINX)
        made.deploy("0.1.0")
        yield made


def provision(servers: ssh_target.Servers, *arguments: str) -> str:
    """What `release provision` says."""
    return servers.release("provision", *arguments, timeout=600).stdout


def configure(servers: ssh_target.Servers, kind: str) -> None:
    """Write release.toml: this machine may ask; without a kind nobody."""
    monitoring = f'[monitoring]\nkind = "{kind}"\nfrom = ["{servers.net.address}"]\n' if kind else ""
    login = '[targets.production.provision]\nuser = "root"\n'
    servers.configure(target=f'domains = ["{DOMAIN}"]\n{login}{monitoring}', names=["web1"])


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
    assert {
        (web1.files / LOGS / f"{NAME}.{kind}.log").stat().st_mode & 0o777 for kind in ("access", "error")
    } == {0o640}


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


def metrics(host: hosts.Host) -> dict[str, float]:
    """What node exporter on `host` tells this machine, by name and labels."""
    with closing(http.client.HTTPConnection(host.address, 9100, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def counted(host: hosts.Host) -> dict[str, float]:
    """The metrics after one more look at the log: it looks as soon as it starts."""
    began = float(host.ssh("date", "+%s.%N").stdout)
    host.ssh("systemctl", "restart", "packhorse-metrics", status=None)  # a kill may hit it while it starts
    age = ("stat", "-c", "%.Y", "/run/packhorse-metrics/packhorse.prom")
    wait_until("a look", lambda: float(host.ssh(*age, status=None).stdout or 0) > began)
    return metrics(host)


def requests(found: dict[str, float]) -> dict[str, float]:
    """How many of each method and class."""
    name = r'packhorse_requests_total\{app="tiny",code="(\w+)",method="(\w+)"\}'
    return {
        f"{match[2]} {match[1]}": value for key, value in found.items() if (match := re.fullmatch(name, key))
    }


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What has grown."""
    return {key: more for key, value in after.items() if (more := value - before.get(key, 0))}


def test_requests_are_counted_with_codes_and_times(web1: hosts.Host) -> None:
    """Known requests in, the same numbers out, through nginx, the log and node exporter."""
    before = counted(web1)
    for path in ("/", "/", "/", "/status/404", "/status/404", "/status/503", "/slow"):
        asked(web1, path)
    assert asked(web1, "/", "DELETE") == 501
    after = counted(web1)
    assert difference(requests(before), requests(after)) == {
        "GET 2xx": 4,
        "GET 4xx": 2,
        "GET 5xx": 1,
        "DELETE 5xx": 1,
    }
    more = difference(before, after)
    for which in ("request", "application"):
        name = f"packhorse_{which}_seconds"
        assert more[f'{name}_bucket{{app="tiny",le="1"}}'] == 7
        assert more[f'{name}_bucket{{app="tiny",le="2.5"}}'] == 8
        assert 1.5 <= more[f'{name}_sum{{app="tiny"}}'] < 2.5


EVIL = b'x"} 1\\x0apackhorse_release{app="evil"} 7" 200 5 "-" "-" "evil" 0.001 "-"'


def test_a_visitor_adds_no_label_and_forges_no_number(web1: hosts.Host) -> None:
    """In every field of a request that reaches the log; what nginx refuses is a request, too."""
    before = counted(web1)
    fields = [
        b"GET /%s HTTP/1.1\r\nHost: %s\r\n" % (EVIL.replace(b" ", b"%20"), DOMAIN.encode()),
        b"GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n" % (DOMAIN.encode(), EVIL),
        b"GET / HTTP/1.1\r\nHost: %s\r\nReferer: %s\r\n" % (DOMAIN.encode(), EVIL),
        b"GET / HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\n"
        % (DOMAIN.encode(), base64.b64encode(EVIL + b":x")),
        b"E-VIL / HTTP/1.1\r\nHost: %s\r\n" % DOMAIN.encode(),
        b'GET http://%s/"} HTTP/1.1\r\nHost: %s\r\n' % (DOMAIN.encode(), DOMAIN.encode()),
    ]
    for field in fields:
        with socket.create_connection((web1.address, 80), timeout=10) as client:
            client.sendall(field + b"Connection: close\r\n\r\n")
            assert client.recv(12).startswith(b"HTTP/1.1 ")
    after = counted(web1)
    assert sum(difference(requests(before), requests(after)).values()) == len(fields)
    assert "other 5xx" in difference(requests(before), requests(after))
    # Facts about the release come by a timer, perhaps only now.
    own = [{name for name in found if name.startswith("packhorse_requests")} for found in (before, after)]
    assert own[1] - own[0] == {'packhorse_requests_total{app="tiny",code="5xx",method="other"}'}
    assert not any("evil" in name.lower() for name in after)


def test_nothing_is_lost_or_counted_twice_under_load(web1: hosts.Host) -> None:
    """Rotated, killed, and the power cut: what was counted stays, and what was missed is made up for."""
    before = sum(requests(counted(web1)).values())
    with Load(80, address=web1.address, host=DOMAIN) as load:
        for turn in range(6):
            more = 40 * turn
            wait_until("some requests", lambda: load.sent > more)  # noqa: B023  # called at once
            web1.ssh("systemctl", "kill", "--signal=KILL", "packhorse-metrics", status=None)
            if turn % 2:
                web1.ssh("logrotate", "--force", f"/etc/logrotate.d/packhorse-{NAME}")
            counted(web1)
    assert load.failed == 0
    wait_until("all lines", lambda: sum(requests(counted(web1)).values()) >= before + load.sent)
    assert sum(requests(counted(web1)).values()) == before + load.sent
    web1.power_cut()
    web1.boot()
    wait_until(
        "node exporter", lambda: metrics(web1) if web1.ssh("systemctl", "is-active", EXPORTER).stdout else {}
    )
    assert sum(requests(counted(web1)).values()) == before + load.sent


def told(servers: ssh_target.Servers) -> dict[str, float]:
    """What the application on web1 tells, without its labels."""
    servers.hosts[0].ssh("systemctl", "start", f"packhorse-facts@{NAME}")
    found = counted(servers.hosts[0])
    return {name.partition("{")[0].removeprefix("packhorse_"): value for name, value in found.items()}


def test_the_state_of_the_application_is_told(servers: ssh_target.Servers, web1: hosts.Host) -> None:
    """Release, processes, restarts, maintenance: what only its own user may read."""
    first = told(servers)
    expected = {
        "release": 1,
        "last_deploy_good": 1,
        "maintenance": 0,
        "stopped": 0,
        "processes": 1,
        "processes_wanted": 1,
    }
    assert {name: first.get(name) for name in expected} == expected
    servers.release("maintenance", "on", "production")
    web1.ssh("pkill", "--signal", "KILL", "--full", "python -m tiny")
    wait_until(
        "a restart",
        lambda: told(servers)["process_restarts_last_hour"] == first["process_restarts_last_hour"] + 1,
    )
    assert told(servers)["maintenance"] == 1
    servers.release("maintenance", "off", "production")
    assert told(servers)["maintenance"] == 0


def reaches(host: hosts.Host, port: int, address: str) -> bool:
    """Whether a program on `host` comes in at `port`."""
    program = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
    return host.ssh("python3", "-c", program, status=None).returncode == 0


def test_only_those_who_may_ask_get_an_answer(servers: ssh_target.Servers, web1: hosts.Host) -> None:
    """Also when Debian's rules are loaded, which begin with `flush ruleset`; without ours nobody does."""
    web2 = servers.hosts[1]
    assert reaches(web2, 80, web1.address)
    assert not reaches(web2, 9100, web1.address)
    assert reaches(web1, 9100, "127.0.0.1")
    assert metrics(web1)["node_textfile_scrape_error"] == 0
    for verb in ("start", "reload", "restart", "stop", "start", "disable --now"):
        web1.ssh("systemctl", *verb.split(), "nftables")
        assert not reaches(web2, 9100, web1.address), verb
        assert metrics(web1), verb
    web1.ssh("systemctl", "stop", "packhorse-monitoring")
    assert web1.ssh("systemctl", "is-active", EXPORTER, status=None).stdout == "inactive\n"
    said = servers.release("doctor", "production", "--json", status=1).stdout
    rows = [row for row in json.loads(said)["checks"] if row["check"] == "monitoring"]
    assert [row["state"] for row in rows] == ["failed", "ok"]
    web1.ssh("systemctl", "start", EXPORTER)
    assert not reaches(web2, 9100, web1.address)


def test_what_measures_has_no_rights(web1: hosts.Host) -> None:
    """A hole in it shows numbers, and is no way to anything else."""
    shown = ("systemctl", "show", "--property", "User,CapabilityBoundingSet,NoNewPrivileges")
    for unit, user in (("packhorse-metrics", "packhorse-metrics"), (EXPORTER, "prometheus")):
        assert set(web1.ssh(*shown, unit).stdout.split()) == {
            f"User={user}",
            "CapabilityBoundingSet=",
            "NoNewPrivileges=yes",
        }


def test_check_mode_on_a_bare_host_says_what_would_be_done_and_changes_nothing(
    servers: ssh_target.Servers,
) -> None:
    """The role stands alone: nothing of an application is there."""
    web2 = servers.hosts[1]
    before = changed(web2)
    said = provision(servers, "root@web2", "--check", "--diff", *ROLE_ALONE)
    assert changed(web2) == before
    assert servers.net.address in said


def talk(host: hosts.Host, *commands: str) -> list[str]:
    """What munin-node answers this machine."""
    with socket.create_connection((host.address, 4949), timeout=30) as client:
        client.sendall("".join(f"{command}\n" for command in (*commands, "quit")).encode())
        return client.makefile().read().splitlines()


def test_munin_shows_the_same_numbers(servers: ssh_target.Servers, web1: hosts.Host) -> None:
    """By its own protocol, for those who may ask; a second run of provisioning changes nothing."""
    other = web1.files / "etc/packhorse/monitoring/other.nft"
    other.write_text("# kind: node-exporter\n")
    configure(servers, "munin-node")
    provision(servers, "production", *ROLE_ALONE)
    numbers = requests(counted(web1))
    assert "packhorse_requests" in talk(web1, "list web1")[1].split()
    assert "atiny_2xx.label tiny 2xx" in talk(web1, "config packhorse_requests")
    total = sum(value for key, value in numbers.items() if key.endswith(" 2xx"))
    assert f"atiny_2xx.value {total:.0f}" in talk(web1, "fetch packhorse_requests")
    assert "atiny_release.value 1" in talk(web1, "fetch packhorse_state")
    assert not reaches(servers.hosts[1], 4949, web1.address)
    example = next(
        block.text for block in documents.blocks("monitoring.md") if block.filename == "munin.conf"
    )
    for graph, field in re.findall(r"packhorse_(\w+)\.ashop_(\w+)\.", example):
        if field != "certificate_days":  # it has none
            configured = talk(web1, f"config packhorse_{graph}")
            assert any(line.startswith(f"atiny_{field}.label ") for line in configured)
    assert metrics(web1)  # another project on the host still wants it
    assert "changed=0" in provision(servers, "production", *ROLE_ALONE)


def test_the_examples_of_the_docs_are_right(web1: hosts.Host, tmp_path: Path) -> None:
    """Whoever copies them should be woken by trouble, not by a typing error."""
    texts = {block.filename: block.text for block in documents.blocks("monitoring.md")}
    for name in ("prometheus.yml", "rules.yml"):
        (tmp_path / name).write_text(texts[name])
    run_command("promtool", "check", "config", tmp_path / "prometheus.yml", env=os.environ)
    shown = web1.ssh("cat", "/run/packhorse-metrics/packhorse.prom").stdout
    names = set(re.findall(r"packhorse_\w+", texts["rules.yml"]))
    assert {name for name in names if name not in shown} == {"packhorse_certificate_days"}, (
        "it has no certificate"
    )


def test_what_is_taken_out_of_release_toml_goes_from_the_host(
    servers: ssh_target.Servers, web1: hosts.Host
) -> None:
    """Unless another project on the host wants it; no port stays open, nothing runs or has failed."""
    other = web1.files / "etc/packhorse/monitoring/other.nft"
    other.write_text("# kind: munin-node\n")
    fails = web1.files / f"etc/systemd/system/packhorse-facts@{NAME}.service.d/fails.conf"
    fails.parent.mkdir()
    fails.write_text("[Service]\nExecStartPre=false\n")
    web1.ssh("systemctl", "daemon-reload")
    web1.ssh("systemctl", "start", f"packhorse-facts@{NAME}", status=1)
    fails.unlink()
    fails.parent.rmdir()
    configure(servers, "")
    provision(servers, "production", *ROLE_ALONE)
    ports = web1.ssh("ss", "-Hltn").stdout
    assert (":9100 " in ports, ":4949 " in ports) == (False, True)
    with pytest.raises(OSError, match="timed out"):
        socket.create_connection((web1.address, 4949), timeout=2)
    other.unlink()
    provision(servers, "production", *ROLE_ALONE)
    units = ("packhorse-*", "prometheus-node-exporter.service", "munin-node.service")
    running = web1.ssh("systemctl", "list-units", "--all", "--plain", "--no-legend", *units).stdout
    assert not re.search("packhorse-(metrics|monitoring|facts)|node", running)
    assert web1.ssh("nft", "list", "table", "inet", "packhorse_monitoring", status=None).returncode == 1
    left = web1.ssh("find", "/etc", "-name", "*packhorse*").stdout
    assert not re.search("monitoring|metrics|facts|munin|node", left)
    assert "changed=0" in provision(servers, "production", *ROLE_ALONE)

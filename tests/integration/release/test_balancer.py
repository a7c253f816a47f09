"""Two applications with two domains each on two servers behind a balancer: one fails, or is switched."""

import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support import documents, hosts, ssh_target
from tests.support.hosts import Host
from tests.support.load_client import Load
from tests.support.servers import BIN, run_command, wait_until
from tests.support.ssh_target import Servers
from tests.support.tiny_app import NAME

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

SHOP = ["shop.example.com", "*.shop.example.com"]
BLOG = ["blog.example.com", "news.example.com"]
RATE = 60
PAGE = {block.language: block.text for block in documents.blocks("balancer.md")}
BALANCER = "".join(PAGE["toml"].splitlines(keepends=True)[2:])  # without the table and its hosts

MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=blog "
    "-keyout /etc/ssl/blog.key -out /etc/ssl/blog.pem"
)
CERTIFICATE = 'tls_certificate = "/etc/ssl/blog.pem"\ntls_certificate_key = "/etc/ssl/blog.key"\n'


@dataclass
class Site:
    """The balancer `lb1`, the servers behind it, and the project folder of the second application, blog."""

    servers: Servers
    lb1: Host
    blog: Path

    @property
    def pair(self) -> list[Host]:
        return self.servers.hosts

    def ask(
        self, path: str = "/", *, name: str = SHOP[0], host: Host | None = None, **headers: str
    ) -> tuple[int, str]:
        """What the balancer answers, or nginx on `host`."""
        with closing(http.client.HTTPConnection((host or self.lb1).address, timeout=20)) as connection:
            connection.request("GET", path, headers={"Host": name, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def headers(self, host: Host | None = None, **headers: str) -> dict[str, str]:
        """What reaches the application of a request with these `headers`; none is there twice."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        found = [
            (name.lower(), value) for name, value in json.loads(self.ask("/headers", host=host, **sent)[1])
        ]
        assert len(dict(found)) == len(found)
        return dict(found)

    def thoughts(self) -> dict[str, dict[str, Any]]:
        """What `release status` says about the balancer's view of each server."""
        done = self.servers.release("status", "production", "--json", status=None)
        (balancer,) = json.loads(done.stdout)["balancers"]
        return {row["host"]: row for row in balancer["hosts"]}

    def out(self) -> list[str]:
        return [name for name, row in self.thoughts().items() if row["out"]]

    def as_blog(self, *arguments: str) -> str:
        """What `release` says in the second project."""
        command = ("-C", str(self.blog), *arguments)
        return run_command(BIN / "release", *command, env=self.servers.environment, timeout=600).stdout

    def provision_blog(self, *options: str) -> int:
        """Prepare the balancer for it; how much was changed."""
        said = self.as_blog("provision", "production", "--limit", "lb1", *options)
        (changed,) = re.findall(r"^lb1 +: ok=\d+ +changed=(\d+) ", said, re.MULTILINE)
        return int(changed)

    def load(self) -> Load:
        return Load(80, address=self.lb1.address, host=SHOP[0], rate=RATE)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The balancer is prepared for the shop by hand, and then by `release provision` for the blog."""
    with ssh_target.running("web1", "web2") as servers:
        lb1 = servers.net.host("lb1")
        for host in servers.hosts:
            ssh_target.front(host, NAME, *SHOP, balancers=[lb1])
            ssh_target.add_application(host, "blog")
            ssh_target.front(host, "blog", *BLOG, balancers=[lb1])
        lb1.add_user(NAME)
        ssh_target.balance(lb1, NAME, *SHOP, hosts=servers.hosts)
        servers.configure(BALANCER)
        made = Site(servers, lb1, servers.home / "blog")
        made.blog.mkdir()
        text = (servers.project / "release.toml").read_text().replace(f'app = "{NAME}"', 'app = "blog"')
        (made.blog / "release.toml").write_text(text.replace(json.dumps(SHOP), json.dumps(BLOG)))
        made.provision_blog("--check", "--diff")
        assert made.provision_blog() > 3
        servers.deploy("0.1.0")
        made.as_blog("deploy", "production", f"{NAME}==0.2.0")
        yield made


@pytest.fixture
def both(site: Site) -> Site:
    """Both servers run, are in, and serve 0.1.0 as the first application."""
    site.servers.deploy("0.1.0", "--wait", "20")
    wait_until("both to be in", lambda: [out_on(site.lb1, app) for app in (NAME, "blog")] == [[], []])
    return site


def test_the_second_run_of_provisioning_changes_nothing(site: Site) -> None:
    """And the role makes what these tests make by hand."""
    assert site.provision_blog() == 0
    shop, blog = (
        [
            line
            for line in (site.lb1.files / f"etc/nginx/packhorse/{app}.production.conf")
            .read_text()
            .replace(f"{app}.production", "APP")
            .replace(" ".join(names), "NAMES")
            .splitlines()[1:]
            if not line.startswith("    if ($host ")  # one for each name
        ]
        for app, names in ((NAME, SHOP), ("blog", BLOG))
    )
    assert shop == blog


def until_all_are_in(site: Site) -> None:
    """Wait, not look once: beside a busy neighbour, the balancer's own question may come too late (3 s)."""
    wait_until("all servers to be in", lambda: site.out() == [])


def answered(host: Host, app: str = NAME) -> int:
    """How many requests the nginx on `host` has answered for `app`."""
    return len((host.files / f"var/log/nginx/packhorse/{app}.access.log").read_text().splitlines())


def test_each_domain_leads_to_its_application_on_both_servers(both: Site) -> None:
    """Two projects that know nothing of each other share servers, ports and the balancer."""
    before = [answered(host, app) for host in both.pair for app in (NAME, "blog")]
    for _ in range(12):
        assert [both.ask(name=name)[1] for name in (SHOP[0], "a.shop.example.com")] == ["0.1.0"] * 2
        assert [both.ask(name=name)[1] for name in BLOG] == ["0.2.0"] * 2

    def new() -> list[int]:
        after = [answered(host, app) for host in both.pair for app in (NAME, "blog")]
        return [end - start for end, start in zip(after, before, strict=True)]

    # nginx logs a request when it has answered it; what the balancer itself asks is not logged.
    wait_until("24 requests for each", lambda: (new()[0] + new()[2], new()[1] + new()[3]) == (24, 24))
    assert min(new()) > 0
    shown = both.servers.release("status", "production").stdout
    assert "http://shop.example.com/" in shown
    assert "balancer lb1: web1 is in, web2 is in" in shown
    assert both.ask(name="other.example.com")[1] != "0.1.0"


ASK = f"""
import http.client, sys
address, method, path, probe = sys.argv[1:]
there = http.client.HTTPConnection(address, timeout=10)
there.request(method, path, headers={{"Host": "{SHOP[0]}", "X-Packhorse-Probe": probe}})
print(there.getresponse().headers["X-Packhorse-App"])
"""


def test_a_host_shows_its_balancer_alone_that_it_has_the_application(both: Site) -> None:
    """Any nginx answers 404, and counts as good. Besides, nothing but this question stays out of the log."""
    web1 = both.pair[0]
    marked = []
    for host, path, method, probe in (
        (both.lb1, "/healthz", "GET", "1"),
        (both.lb1, "/healthz", "HEAD", "1"),
        (both.lb1, "/other", "GET", "1"),
        (both.lb1, "/healthz", "GET", ""),
        (web1, "/healthz", "GET", "1"),
    ):
        logged = answered(web1) + 1
        marked.append(host.ssh("python3", "-c", ASK, web1.address, method, path, probe).stdout == f"{NAME}\n")
        if not marked[-1]:
            wait_until("the line", partial(lambda number: answered(web1) == number, logged))
    assert marked == [True, False, False, False, False]


def until_logged(site: Site, number: int) -> None:
    """Wait until the servers have logged so many requests in all: nginx does it after the answer."""
    wait_until(f"line {number} of the logs", lambda: sum(map(answered, site.pair)) == number)


def test_the_application_learns_who_the_client_is_and_no_client_can_pretend(both: Site) -> None:
    """Neither through the balancer nor past it."""
    forged = {
        "X_Forwarded_For": "1.2.3.4",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "evil.example.com",
    }
    forged |= {"X_Packhorse_Probe": "1", "X_Real_IP": "1.2.3.4", "X_Forwarded_Port": "81"}
    forged |= {"X_Forwarded_Prefix": "/evil", "Forwarded": "for=1.2.3.4;proto=https"}
    me = both.servers.net.address
    for host in (None, *both.pair):
        logged = sum(map(answered, both.pair)) + 1
        found = both.headers(host, **forged)
        assert (found["x-forwarded-for"], found["x-forwarded-proto"]) == (me, "http")
        assert (found["x-forwarded-host"], found["host"], found["x-real-ip"]) == (SHOP[0], SHOP[0], me)
        assert not {"x-forwarded-port", "x-forwarded-prefix", "forwarded"} & found.keys()
        until_logged(both, logged)
    assert f"{me} - -" in (both.pair[0].files / f"var/log/nginx/packhorse/{NAME}.access.log").read_text()


@pytest.mark.parametrize(
    "rest",
    [
        "Content-Length: 39\nTransfer-Encoding: chunked\n\n0\n\nGET /smuggled HTTP/1.1\nHost: x\n\n",
        "Transfer-Encoding: xchunked\n\n0\n\n",
        "Content-Length: 5\nContent-Length: 6\n\nabcdef",
        "Host: blog.example.com\n\n",
        "Host : blog.example.com\n\n",
    ],
)
def test_a_request_that_two_nginx_could_read_differently_is_refused(both: Site, rest: str) -> None:
    """Request smuggling (RFC 9112, 11.2)."""
    with socket.create_connection((both.lb1.address, 80), timeout=10) as client:
        head = f"POST / HTTP/1.1\nHost: {SHOP[0]}\nConnection: close\n{rest}"
        client.sendall(head.replace("\n", "\r\n").encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 (400|501) ", answer)
    logs = [(host.files / f"var/log/nginx/packhorse/{NAME}.access.log").read_text() for host in both.pair]
    assert not any("smuggled" in log for log in logs)


def test_streams_websockets_and_large_uploads_pass_two_nginx(both: Site) -> None:
    """The first part of a stream arrives before the last is written."""
    with socket.create_connection((both.lb1.address, 80), timeout=20) as client:
        client.sendall(b"GET /stream HTTP/1.0\r\nHost: shop.example.com\r\n\r\n")
        seen = b""
        while b"first" not in seen:
            seen += client.recv(1000)
        assert b"last" not in seen
        assert b"X-Accel" not in seen
        assert b"".join(iter(lambda: client.recv(1000), b"")).endswith(b"last")
    with socket.create_connection((both.lb1.address, 80), timeout=20) as client:
        upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        client.sendall(b"GET /echo HTTP/1.1\r\nHost: shop.example.com\r\n" + upgrade)
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        client.sendall(b"hello")
        assert client.recv(1000) == b"hello"
    for size, status in ((9_000_000, 200), (11_000_000, 413)):
        with closing(http.client.HTTPConnection(both.lb1.address, timeout=20)) as connection:
            connection.request("POST", "/", bytes(size), {"Host": SHOP[0]})
            assert connection.getresponse().status == status


class Forms:
    """A client that keeps its connection, and sends one form after the other while the block runs."""

    def __init__(self, site: Site) -> None:
        self.site, self.sent, self.failed = site, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self.site.lb1.address, timeout=30)
        while not self.over.wait(1 / RATE):
            try:
                connection.request("POST", "/", b"a=1", {"Host": SHOP[0]})
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            self.sent += 1
        connection.close()


def test_a_deploy_loses_nothing_and_the_balancer_leads_past_the_host_that_is_switched(both: Site) -> None:
    """Its agent is stopped in the middle of the switch; then the deployer is killed."""
    with both.load() as load, Forms(both) as forms:
        both.servers.deploy("0.2.0")
        until_all_are_in(both)
        with both.servers.stopped_at("0.1.0", "verify") as deployer:
            wait_until("web1 alone to be out", lambda: both.out() == ["web1"])
            before = answered(both.pair[0])
            for _ in range(30):
                assert both.ask()[0] == 200
            assert answered(both.pair[0]) == before
            deployer.kill()
            until_all_are_in(both)
            both.pair[0].ssh("pkill", "-CONT", "--uid", NAME)
    assert (load.failed, forms.failed) == (0, 0)


@pytest.mark.parametrize("how", ["power cut", "cable"])
def test_when_a_host_dies_at_most_the_requests_on_it_fail(both: Site, how: str) -> None:
    """Also while nginx tries it again. When it is back it serves again."""
    web2 = both.pair[1]
    loads: tuple[Load, Forms] = (both.load(), Forms(both))
    with loads[0], loads[1]:
        wait_until("requests", lambda: min(loads[0].sent, loads[1].sent) > 30)
        web2.power_cut() if how == "power cut" else web2.unplug()
        try:
            wait_until("it to be out", lambda: out_on(both.lb1) == ["2"])
            sent = loads[0].sent, loads[1].sent
            wait_until(
                "more requests",
                lambda: loads[0].sent > sent[0] + 5 * RATE and loads[1].sent > sent[1] + 2 * RATE,
                deadline=60,  # the requests on a cut cable end when the clients give up, after 30 s
            )
            lost = loads[0].failed + loads[1].failed
        finally:
            web2.boot() if how == "power cut" else web2.plug_in()
        wait_until("it to be in again", lambda: out_on(both.lb1) == [], deadline=60)
        before = answered(web2)
        wait_until("it to serve", lambda: answered(web2) > before)
    assert lost <= len(loads), "each client had one request on its way"
    assert loads[0].failed + loads[1].failed == lost, "none when it is back"


def out_on(balancer: Host, app: str = NAME) -> list[str]:
    """The numbers of the hosts that are out, as nginx sees them."""
    return sorted(balancer.ssh("ls", f"/run/packhorse-balancer/{app}.production").stdout.split())


def test_a_host_whose_application_is_dead_is_left_out_and_no_form_is_sent_twice(both: Site) -> None:
    """Its nginx lives, and would answer 502. What was sent to an application once is never repeated."""
    web1 = both.pair[0]
    with both.load() as load:
        web1.ssh("systemctl", "stop", f"packhorse@{NAME}")
        try:
            wait_until("it to be out", lambda: both.out() == ["web1"])
            posts = [post(both) for _ in range(30)]
        finally:
            web1.ssh("systemctl", "start", f"packhorse@{NAME}")
        until_all_are_in(both)
    assert posts == [200] * 30
    assert load.failed <= 1, "the client had one request in the application when that ended"


def post(site: Site) -> int:
    with closing(http.client.HTTPConnection(site.lb1.address, timeout=20)) as connection:
        connection.request("POST", "/", b"a=1", {"Host": SHOP[0]})
        return connection.getresponse().status


def test_what_the_application_answers_itself_is_no_failure_of_a_host(both: Site) -> None:
    """Else one visitor whose requests end in 502 or 503 could take out all hosts."""
    both.servers.release("maintenance", "on", "production")
    try:
        status, page = both.ask()
        assert (status, "Back in a moment" in page) == (503, True)
        until_all_are_in(both)
    finally:
        both.servers.release("maintenance", "off", "production")
    wait_until("the application", lambda: both.ask() == (200, "0.1.0"))


def test_a_balancer_that_is_down_or_that_nobody_prepared_stops_no_deploy(both: Site) -> None:
    """It is named; all hosts stay in."""
    both.lb1.ssh("systemctl", "stop", "packhorse-balancer")
    try:
        with both.load() as load:
            said = both.servers.deploy("0.2.0").stderr
    finally:
        both.lb1.ssh("systemctl", "start", "packhorse-balancer")
    assert "lb1" in said
    assert "It takes no host out while that is switched: " in said
    assert load.failed == 0


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("blog", '{"name": "tiny.production", "hold": ["web1"]}'),
        (NAME, '{"name": "tiny.production", "hold": ["web9"]}'),
        (NAME, '{"name": "../tiny.production", "hold": []}'),
        (NAME, '["tiny.production"]'),
        (NAME, "[" * 60000),
        ("nobody", '{"name": "tiny.production", "hold": ["web1"]}'),
    ],
)
def test_only_who_deploys_an_application_takes_its_servers_out(both: Site, user: str, said: str) -> None:
    """Whoever else is on the balancer is refused, or not listened to; it goes on for the others."""
    talk = ("runuser", "-u", user, "--", "/usr/local/bin/packhorse-balancer", "talk")
    with both.lb1.program(*talk) as client:
        answer, _ = client.communicate(f"{said}\n")
    assert '"hosts"' not in answer
    until_all_are_in(both)


def test_a_deployer_holds_as_many_servers_as_can_be_spared_and_all_together_none(both: Site) -> None:
    """Two deploys at once, each of which would leave one."""
    line = '{"name": "tiny.production", "hold": ["web1", "web2"]}\n'
    with both.lb1.program("/usr/local/bin/packhorse-balancer", "talk") as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(line)
        client.stdin.flush()
        rows = json.loads(client.stdout.readline())["hosts"]
        assert [row["out"] for row in rows.values()] == [True, False]
        client.kill()
    until_all_are_in(both)


def test_addresses_may_be_of_ipv6(site: Site) -> None:
    """In an upstream they need brackets, elsewhere they must have none."""
    web1 = site.pair[0]
    behind = [{"name": "web1", "address": "[fd00::1]"}, {"name": "fd00::2", "address": "[fd00::2]"}]
    folder = web1.files / "etc/nginx/packhorse"
    try:
        ssh_target.write_vhost(web1, "six", ["six.example.com"], nginx_balancers=["fd00::9", "10.0.0.9"])
        ssh_target.write_vhost(web1, "six.production", ["6.example.com"], nginx_hosts=behind)
        web1.ssh("nginx", "-t")
    finally:
        for file in folder.glob("six.*"):
            file.unlink()


def test_tls_begins_and_a_server_leaves_without_a_lost_request(both: Site) -> None:
    """One run of provisioning, under load. The server that has the certificate, too, goes on serving it."""
    web1, web2 = both.pair
    for host in (both.lb1, web1):
        host.ssh(*MAKE_CERTIFICATE.split())
    file = both.blog / "release.toml"
    text = file.read_text().replace('["web1", "web2"]', '["web1"]')
    file.write_text(text.replace("balancer =", f"{CERTIFICATE}balancer ="))
    with Load(80, address=both.lb1.address, host=BLOG[0], rate=RATE, good=(200, 301)) as load:
        both.as_blog("provision", "production", "--start-at-task", "Install nginx")
        before = answered(web2, "blog")
        sent = load.sent
        wait_until("requests", lambda: load.sent > sent + RATE)
    assert (load.failed, load.statuses) == (0, {200, 301})
    assert answered(web2, "blog") == before
    for host in (both.lb1, web1):
        found = json.loads(ask_https(host, "/headers"))
        assert ["X-Forwarded-Proto", "https"] in found
        assert both.ask(host=host, name=BLOG[0], X_Forwarded_Proto="https")[0] == 301
    assert "https://blog.example.com/" in both.as_blog("status", "production")


def ask_https(host: Host, path: str) -> str:
    """What nginx there answers for the blog over TLS, whoever has signed its certificate."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    with closing(http.client.HTTPSConnection(host.address, timeout=20, context=anyone)) as connection:
        connection.request("GET", path, headers={"Host": BLOG[0]})
        return connection.getresponse().read().decode()


def test_an_application_is_balanced_no_longer(both: Site) -> None:
    """Somebody removes it by hand, when no client comes any more; the other one stays."""
    remove = ("/usr/local/bin/packhorse-balancer", "remove")
    for wrong in ("blog", "../blog.production", "other.production"):
        assert "is not balanced here" in both.lb1.ssh(*remove, wrong, status=1).stderr
    both.lb1.ssh(*remove, "blog.production")
    wait_until("it to be gone", lambda: both.ask(name=BLOG[0]) == both.ask(name="unknown.example.com"))
    assert both.ask() == (200, "0.1.0")

"""Maintenance mode on two servers, through the nginx in front of them."""

import http.client
import json
from collections.abc import Iterator

import pytest

from tests.support import hosts, ssh_target
from tests.support.hosts import Host
from tests.support.load_client import Load
from tests.support.servers import wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]
DOMAIN = "shop.example.com"


@pytest.fixture(scope="module")
def _two() -> Iterator[Servers]:
    with ssh_target.running("web1", "web2") as running:
        for host in running.hosts:
            ssh_target.front(host, NAME, DOMAIN)
        yield running


@pytest.fixture
def pair(_two: Servers) -> Servers:
    """They serve 0.1.0."""
    _two.release("maintenance", "off", "production")
    _two.deploy("0.1.0", "--wait", "20")
    assert [ask(host) for host in _two.hosts] == [(200, "0.1.0")] * 2
    return _two


def ask(host: Host, path: str = "/", body: bytes | None = None) -> tuple[int, str]:
    """What nginx answers."""
    connection = http.client.HTTPConnection(host.address, timeout=20)
    connection.request("POST" if body else "GET", path, body, {"Host": DOMAIN})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def states(pair: Servers) -> list[bool]:
    """Whether it is on, on each host."""
    said = json.loads(pair.release("maintenance", "production", "--json").stdout)
    return [bool(host["maintenance"]) for host in said["hosts"]]


def test_users_get_the_page_from_both_and_no_request_is_lost(pair: Servers) -> None:
    """Without a change of nginx's configuration; a large upload is answered, too."""
    loads = [Load(80, address=host.address, host=DOMAIN, rate=50, good=(200, 503)) for host in pair.hosts]
    with loads[0], loads[1]:
        for _ in range(2):
            said = pair.release("maintenance", "on", "production", "--allow", "/env").stdout
            assert said.count("maintenance mode is on since") == 2
            for host in pair.hosts:
                status, page = ask(host)
                assert (status, "Back in a moment" in page) == (503, True)
                assert ask(host, body=bytes(5_000_000))[0] == 503
                closed = ("/env/../", "//env", "/%2e/env", "/env%2f..")
                assert [ask(host, path)[0] for path in ("/env", *closed)] == [200, *[503] * len(closed)]
            pair.release("maintenance", "off", "production")
            assert [ask(host) for host in pair.hosts] == [(200, "0.1.0")] * 2
    assert [load.failed for load in loads] == [0, 0]
    assert all(load.statuses == {200, 503} for load in loads)


def test_it_stays_over_deploys_a_stop_and_a_power_cut(pair: Servers) -> None:
    """The application's own sockets are gone then; the page is not."""
    web1 = pair.hosts[0]
    pair.release("maintenance", "on", "production", "--allow", "/env")
    assert "maintenance mode is on" in pair.deploy("0.2.0").stdout
    assert [ask(host)[0] for host in pair.hosts] == [503, 503]
    pair.release("stop", "production")
    assert [ask(host)[0] for host in pair.hosts] == [503, 503]
    assert ask(web1, "/env")[0] == 503
    pair.release("start", "production")
    assert ask(web1, "/env")[0] == 200
    web1.power_cut()
    web1.boot()
    wait_until("the application", lambda: (ask(web1)[0], ask(web1, "/env")[0]) == (503, 200))
    assert web1.ssh("stat", "-c", "%U", str(LAYOUT.maintenance)).stdout.strip() == NAME
    pair.release("maintenance", "off", "production")
    assert [ask(host) for host in pair.hosts] == [(200, "0.2.0")] * 2


def test_all_hosts_are_closed_before_the_release_phase_runs_on_one(pair: Servers) -> None:
    """The database is one: here the release phase asks the other host. It fails, and all serve again."""
    url, name = f"'http://{pair.hosts[1].address}/'", f"{{'Host': '{DOMAIN}'}}"
    look = f"import urllib.request as r; r.urlopen(r.Request({url}, headers={name}))"
    pair.served.add(NAME, app_wheel("0.3.0", procfile=f'web: python -m tiny\nrelease: python3 -c "{look}"\n'))
    failed = pair.release("deploy", "production", f"{NAME}==0.3.0", "--maintenance", status=1)
    assert "HTTP Error 503" in failed.stderr
    assert (states(pair), [ask(host) for host in pair.hosts]) == ([False] * 2, [(200, "0.1.0")] * 2)


def test_a_host_that_is_down_is_named_and_the_other_is_closed(pair: Servers) -> None:
    """Each by itself: the same command again makes them equal."""
    pair.hosts[1].power_cut()
    try:
        failed = pair.release("maintenance", "on", "production", status=None)
    finally:
        pair.hosts[1].boot()
    assert failed.returncode != 0
    assert "web2" in failed.stderr
    assert states(pair) == [True, False]
    pair.release("maintenance", "on", "production")
    assert states(pair) == [True, True]

"""The balancer beside an nginx of the usual recipe: what it costs, and what is lost when a server dies."""

import http.client
import itertools
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

from bench.tools import stage, wrk
from bench.tools.rows import Row
from tests.support import ssh_target
from tests.support.hosts import Host
from tests.support.servers import BIN, wait_until
from tests.support.ssh_target import Servers
from tests.support.tiny_app import NAME

OURS, RECIPE = "shop.example.com", "recipe.example.com"
# What people write: nginx's own defaults.
VHOST = """\
upstream recipe {{ {servers} }}
server {{
    listen 80;
    server_name recipe.example.com;
    location / {{
        proxy_pass http://recipe;
        proxy_set_header Host shop.example.com;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""
CLIENTS, SECONDS, PATIENCE = 8, 15, 5.0
TIMES = 3


def run() -> Iterator[Row]:
    """Two servers whose nginx answers by itself, so that the balancer is what is measured; then a deploy."""
    if os.geteuid() != 0:
        print("balancer: left out: test hosts need root", file=sys.stderr)
        return
    with ssh_target.running("web1", "web2", "web3") as fleet:
        lb1 = fleet.net.host("lb1")
        for host in fleet.hosts:
            ssh_target.front(host, NAME, OURS, balancers=[lb1])
        lb1.add_user(NAME)
        ssh_target.balance(lb1, NAME, OURS, hosts=fleet.hosts)
        servers = " ".join(f"server {host.address};" for host in fleet.hosts)
        (lb1.files / "etc/nginx/packhorse/recipe.conf").write_text(VHOST.format(servers=servers))
        yield _deploys(fleet)
        _answer_at_once(fleet.hosts)
        lb1.ssh("systemctl", "restart", "nginx")
        wait_until("all to be in", lambda: fleet.release("status", "production").stdout.count(" is in") == 3)
        ours, recipe = _rates(lb1)
        yield Row("balancer: requests", "1/s", ours, recipe, ours / recipe, ">= 0.8")
        ours, recipe = (_lost(fleet.hosts[2], lb1, name) for name in (OURS, RECIPE))
        name = f"balancer: failed or later than {PATIENCE:g} s in {SECONDS} s, a cable pulled"
        yield Row(name, "requests", ours, recipe, ours, f"<= {CLIENTS}")


def _deploys(fleet: Servers) -> Row:
    """A deploy to three servers, with and without a balancer that is told."""
    seconds: dict[str, list[float]] = {"": [], 'balancer = { hosts = ["lb1"] }': []}
    fleet.deploy("0.1.0")
    versions = itertools.cycle(("0.2.0", "0.1.0"))
    for _ in range(2 * TIMES):
        for settings, took in seconds.items():
            fleet.configure(settings)
            version = next(versions)
            command = [str(BIN / "release"), "deploy", "production", f"{NAME}=={version}", "--json"]
            took.append(stage.timed(command, fleet.project, fleet.environment))
    without, balanced = map(statistics.median, seconds.values())
    return Row(
        "balancer: deploy to 3 hosts, with and without", "s", balanced, without, balanced / without, "<= 1.2"
    )


def _answer_at_once(hosts: list[Host]) -> None:
    for host in hosts:
        vhost = host.files / f"etc/nginx/packhorse/{NAME}.conf"
        vhost.write_text(
            vhost.read_text().replace("    location / {", "    location / {\n return 200 ok;", 1)
        )
        host.ssh("systemctl", "restart", "nginx")


def _rates(lb1: Host) -> Iterator[float]:
    """Requests per second of both, measured in turn."""
    rates: dict[str, list[float]] = {OURS: [], RECIPE: []}
    for _ in range(3 * TIMES):
        for name, measured in rates.items():
            measured.append(wrk.rate(f"http://{lb1.address}/", {"Host": name}, seconds=2))
    return map(statistics.median, rates.values())


def _lost(server: Host, lb1: Host, name: str) -> int:
    """Count requests of some clients that fail, or take longer than they wait, when `server` falls silent."""
    over, lost = time.monotonic() + SECONDS, []

    def ask() -> None:
        while time.monotonic() < over:
            with closing(http.client.HTTPConnection(lb1.address, timeout=PATIENCE)) as connection:
                try:
                    connection.request("GET", "/", headers={"Host": name})
                    if connection.getresponse().status != 200:
                        lost.append(name)
                except (OSError, http.client.HTTPException):
                    lost.append(name)
            time.sleep(0.02)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1)
    server.unplug()
    for client in clients:
        client.join()
    server.plug_in()
    return len(lost)

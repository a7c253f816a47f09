"""`release config set` on three servers under load: its seconds, and the requests that failed meanwhile."""

import os
import statistics
import sys
from collections.abc import Iterator

from bench.tools import stage
from bench.tools.rows import Row
from tests.support import ssh_target
from tests.support.load_client import over_ssh
from tests.support.servers import BIN
from tests.support.ssh_target import LAYOUT

HOSTS = ("web1", "web2", "web3")
RATE = 200
"""Requests a second, over all hosts."""


def run() -> Iterator[Row]:
    """Set two variables at a time, three times, as from a terminal: connections of ssh stay open."""
    if os.geteuid() != 0:
        print("config: left out: test hosts need root", file=sys.stderr)
        return
    with ssh_target.running(*HOSTS) as servers:
        config = servers.home / "ssh_config"
        config.write_text(f"ControlPath {servers.home}/%n.mux\n{servers.net.ssh_config.read_text()}")
        environment = {**servers.environment, "RELEASE_SSH_CONFIG": str(config)}
        servers.deploy("0.1.0")

        def set_variables(value: str) -> float:
            command = [str(BIN / "release"), "config", "set", "production", f"A={value}", f"B={value}"]
            return stage.timed(command, servers.project, environment)

        set_variables("0")
        with over_ssh(servers.hosts, str(LAYOUT.web), RATE) as load:
            seconds = statistics.median(set_variables(value) for value in ("1", "2", "3"))
        if '"B": "3"' not in servers.get(servers.hosts[-1], "/env"):
            raise RuntimeError("the last host does not have what was set")
    yield Row("config: set on 3 hosts, 200 requests/s", "s", seconds, None, seconds, "<= 3")
    yield Row("config: failed requests", "count", load.failed, None, load.failed, "<= 0")
    yield Row("config: slowest request", "s", load.slowest, None, load.slowest, "<= 1")

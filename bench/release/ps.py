"""`release ps` on ten servers, with two processes of web on each."""

import os
import statistics
import sys
from collections.abc import Iterator

from bench.tools import stage
from bench.tools.rows import Row
from tests.support import ssh_target
from tests.support.servers import BIN

HOSTS = 10
TIMES = 5


def run() -> Iterator[Row]:
    """Ask ten hosts at once, over ssh connections that are made anew."""
    if os.geteuid() != 0:
        print("ps: left out: test hosts need root", file=sys.stderr)
        return
    names = [f"web{number}" for number in range(1, HOSTS + 1)]
    with ssh_target.running(*names) as fleet:
        fleet.configure('batch = "100%"')
        fleet.deploy("0.1.0")
        fleet.release("scale", "production", "web=2")
        command = [str(BIN / "release"), "ps", "production", "--json"]
        seconds = statistics.median(
            stage.timed(command, fleet.project, fleet.environment) for _ in range(TIMES)
        )
    yield Row(f"ps: {HOSTS} hosts ({os.cpu_count()} cores)", "s", seconds, None, seconds, "<= 2")

"""`release logs -f` of one process that writes 100,000 lines a second: what arrives, and what it costs."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.tools.rows import Row
from release.host.processes.circusd import Circus
from tests.support import local_target
from tests.support.servers import BIN, short_home, wait_until
from tests.support.tiny_app import NAME, app_wheel

RATE, SECONDS = 100_000, 10
WRITER = f"""
import os, sys, time
data = os.environ["DATA_DIR"]
while not os.path.exists(data + "/go"):
    time.sleep(0.01)
began = time.monotonic()
for turn in range({SECONDS * 100}):
    sys.stdout.write("".join("line %07d of a hundred bytes %s\\n" % (turn * {RATE // 100} + n, "x" * 70)
                             for n in range({RATE // 100})))
    sys.stdout.flush()
    time.sleep(max(0, began + (turn + 1) / 100 - time.monotonic()))
open(data + "/took", "w").write(str(time.monotonic() - began))
time.sleep(600)
"""


def run() -> Iterator[Row]:
    """Follow the logs into a file while the process writes."""
    with short_home() as home, local_target.running_host(home) as host:
        beside = {"writer.py": WRITER.encode()}
        host.served.add(NAME, app_wheel("0.3.0", procfile="worker: python writer.py\n", beside=beside))
        host.deploy("0.3.0")
        output, errors = home / "output", home / "errors"
        with output.open("wb") as out, errors.open("wb") as err:
            command = [str(BIN / "release"), "logs", "local", "-f", "-n", "0"]
            follower = subprocess.Popen(
                command, env=host.environment, cwd=host.project, stdout=out, stderr=err
            )
        wait_until("the agent to follow", lambda: psutil.Process(follower.pid).children())
        time.sleep(2)  # it says nothing when it has begun
        agent = psutil.Process(follower.pid).children()[0]
        circusd = psutil.Process(Circus(host.layout).pid() or 0)
        before = [_seconds(process) for process in (circusd, agent, psutil.Process(follower.pid))]
        (host.layout.data / "go").touch()
        took = host.layout.data / "took"
        wait_until("the end of the writing", lambda: took.exists() and took.read_text())
        ended = time.monotonic()
        last = f"line {RATE * SECONDS - 1:07}".encode()
        wait_until("the last line", lambda: last in _end(output))
        behind = time.monotonic() - ended
        after = [_seconds(process) for process in (circusd, agent, psutil.Process(follower.pid))]
        follower.send_signal(signal.SIGINT)
        follower.wait(10)
        arrived = output.read_bytes().count(b"\n")
        skipped = sum(map(int, re.findall(r"(\d+) bytes of", errors.read_text())))
        lines = RATE * SECONDS
        size = len(host.layout.log("worker.1").open().readline())
        rate = lines / float(took.read_text())
        yield Row("logs: lines that one process writes", "1/s", rate, None, rate, ">= 90000")
        yield Row("logs: the last one is shown after", "s", behind, None, behind, "<= 10")
        share = arrived / lines
        yield Row("logs: shown by -f", "%", 100 * share, None, share, ">= 0.5")
        told = (arrived + skipped / size) / lines
        yield Row("logs: shown, or told as skipped", "%", 100 * told, None, told, ">= 0.999")
        for name, one, two, most in zip(
            ("circusd", "agent", "release logs"), before, after, (0.3, 1, 1), strict=True
        ):
            used = (two - one) / SECONDS
            yield Row(f"logs: processor of {name}", "s/s", used, None, used, f"<= {most}")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
        return file.read()

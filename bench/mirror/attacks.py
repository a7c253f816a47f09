"""Latency of pages while another client attacks: ours, behind nginx too, and stock devpi-server."""

import http.client
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from bench.tools import attackers, nginx, stage, stock
from bench.tools.rows import Row
from tests.support.dists import wheel
from tests.support.servers import BIN, free_port, running_mirror
from tests.support.upstream import JSON, Upstream

PAGE = "/root/pypi/+simple/small/"
SETTLE, MEASURE, TIMEOUT = 2.0, 5.0, 10.0  # seconds


def run() -> Iterator[Row]:
    """Each attack against the three servers, one after the other."""
    with Upstream() as upstream, tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        folder, front = Path(scratch), free_port()
        upstream.add("small", *(wheel("small", f"1.{minor}") for minor in range(60)))
        upstream.add("large", wheel("large", "1.0", padding=30_000_000))
        settings = f'front.listen = "127.0.0.1:{front}"\n[upstream]\nurl = "{upstream.url}"\n'
        with running_mirror(settings) as mirror, stock.server(folder, upstream.url) as rival:
            mirror.home.chmod(0o711)
            mirror.run(BIN / "mirror", "front", cwd=mirror.home)
            with nginx.running(folder, f"include {mirror.home}/mirror/nginx.conf;"):
                servers = [f"http://127.0.0.1:{front}", mirror.url, rival]
                stage.wait_for(f"{servers[0]}/+api")
                files = [large_file(server) for server in servers]
                for name in ("none", *attackers.ATTACKS):
                    yield from rows(name, servers, files)


def large_file(server: str) -> str:
    """Path of a file of 30 MB, which is in the cache of `server` afterwards, as the page is."""
    requests.get(f"{server}{PAGE}", timeout=60).raise_for_status()
    page = f"{server}/root/pypi/+simple/large/"
    (file,) = requests.get(page, headers={"Accept": JSON}, timeout=60).json()["files"]
    url = urljoin(page, file["url"])
    requests.get(url, timeout=60).raise_for_status()
    return str(urlsplit(url).path)


def rows(name: str, servers: list[str], files: list[str]) -> Iterator[Row]:
    """Latency of the three under one attack; the goal is about ours, whatever becomes of the rival."""
    front, alone, rival = (under(name, server, file) for server, file in zip(servers, files, strict=True))
    yield Row(f"{name}, nginx in front", "ms", front, rival, front, "<= 100")
    yield Row(f"{name}, alone", "ms", alone, rival, alone, "<= 100")


def under(name: str, server: str, file: str) -> float:
    """The 99th percentile of the latency of a page, in ms; a page that does not come counts as 10 s."""
    port = int(server.rpartition(":")[2])
    if name == "none":
        return latency(port)
    with attackers.attack(port, attackers.ATTACKS[name], file):
        time.sleep(SETTLE)
        measured = latency(port)
    stage.wait_for(f"{server}/+api", seconds=200)
    return measured


def latency(port: int) -> float:
    """The 99th percentile of pages that are asked for one after the other, each on a new connection."""
    times, ends = [], time.monotonic() + MEASURE
    while time.monotonic() < ends:
        started = time.monotonic()
        times.append(time.monotonic() - started if _answered(port) else TIMEOUT)
    times.sort()
    return 1000 * times[math.ceil(0.99 * len(times)) - 1]


def _answered(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
        try:
            connection.request("GET", PAGE, headers={"Accept": JSON})
            answer = connection.getresponse()
            return answer.status == 200 and bool(answer.read())
        except (OSError, http.client.HTTPException):
            return False

"""A build for each commit: uploads to one project of 200, 1,000 and 5,000 versions, and the database then."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from bench.mirror import upload
from bench.tools import stock
from bench.tools.rows import Row
from mirror.api import HttpApi
from tests.support.dists import wheel
from tests.support.servers import running_mirror

STEPS = (200, 1000, 5000)
STOCK_STEPS = STEPS[:1]  # devpi-server alone reads all versions at each upload: 1,000 take half an hour
LAST = 50  # uploads whose median counts

Figures = dict[int, tuple[float, float]]  # versions -> milliseconds of an upload, MB of the database


def run() -> Iterator[Row]:
    """The time of an upload, compared with that among 200 versions, and kB of the database per upload."""
    with running_mirror() as mirror, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        header = upload.login(mirror.url, "company", mirror.credentials["company"])
        ours = measured(f"{mirror.url}/company/dev/", header, mirror.home / "mirror" / "server", STEPS)
        with stock.server(Path(folder), f"{mirror.url}/root/pypi/+simple/") as url:
            HttpApi(url, stock.PASSWORD).call("PUT", "/root/own", {"bases": []})
            header = upload.login(url, "root", stock.PASSWORD)
            theirs = measured(f"{url}/root/own/", header, Path(folder) / "server", STOCK_STEPS)
    for step in STEPS:
        time_, size = ours[step]
        stock_time, stock_size = theirs.get(step, (None, None))
        yield Row(f"upload among {step} versions", "ms", time_, stock_time, time_ / ours[STEPS[0]][0], "<= 2")
        yield Row(f"database after {step} uploads", "MB", size, stock_size, 1000 * size / step, "<= 20")


def measured(index: str, header: str, server: Path, steps: Sequence[int]) -> Figures:
    """Upload as many versions as the last of `steps`; the figures at each."""
    found: Figures = {}
    with requests.Session() as session:
        session.headers["X-Devpi-Auth"] = header
        seconds: list[float] = []
        for number in range(1, steps[-1] + 1):
            dist = wheel("nightly", f"1.0.{number}")
            started = time.monotonic()
            upload.post(session, index, dist)
            seconds.append(time.monotonic() - started)
            if number in steps:
                database = (server / ".sqlite").stat().st_size  # its log has 4 MB, and grows no more
                found[number] = 1000 * statistics.median(seconds[-LAST:]), database / 1e6
    return found

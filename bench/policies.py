"""Costs of policies: processor time of a large page that is not cached, with them and without."""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests

from bench.tools.rows import Row
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from tests.support.dists import wheel
from tests.support.servers import BIN, Mirror, running_mirror
from tests.support.upstream import JSON, Upstream

PAGES, FILES = 30, 2400
POLICIES = """
policy.deny = ["evil-*", "other==1.0"]
policy.hide_yanked = true
policy.minimum_age = "7d"
policy.sdists = ["other"]
"""


def run() -> Iterator[Row]:
    """Two mirrors of one upstream, asked for pages that neither has."""
    with Upstream() as upstream:
        for number in range(PAGES):
            name = f"large{number}"
            upstream.add(name, *(wheel(name, f"1.{minor}") for minor in range(FILES)))
        address = f'[upstream]\nurl = "{upstream.url}"\n'
        with running_mirror(f"{POLICIES}{address}") as guarded, running_mirror(address) as plain:
            ours, without = _seconds(guarded), _seconds(plain)
    yield Row(f"policies: uncached page of {FILES} files", "s", ours, without, ours / without, "<= 1.1")
    note = _note()
    yield Row("policies: note of what was first seen", "s", note, without, note / without, "<= 0.05")


def _seconds(mirror: Mirror) -> float:
    """Processor time of a page: the server's, and that of its children which read pages."""
    pid = json.loads(mirror.run(BIN / "mirror", "status", "--json").stdout)["pid"]
    _get(mirror, 0)  # starts the processes
    before = _used(pid)
    for number in range(1, PAGES):
        _get(mirror, number)
    return (_used(pid) - before) / (PAGES - 1)


def _get(mirror: Mirror, number: int) -> None:
    url = f"{mirror.index_url('root/pypi')}large{number}/"
    requests.get(url, headers={"Accept": JSON}, timeout=60).raise_for_status()


def _used(pid: int) -> float:
    server = psutil.Process(pid)
    times = [process.cpu_times() for process in (server, *server.children())]
    return sum(each.user + each.system for each in times)


def _note() -> float:
    """Seconds for the note of one such page."""
    with tempfile.TemporaryDirectory() as folder:
        seen, taken = FirstSeen(Path(folder)), []
        for number in range(PAGES):
            names = [f"large{number}-1.{minor}-py3-none-any.whl" for minor in range(FILES)]
            begin = time.process_time()
            seen.note("root/pypi", f"large{number}", names, time.time())
            taken.append(time.process_time() - begin)
        return statistics.median(taken)

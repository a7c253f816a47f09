"""What policies cost: a large page that is not cached, with them and without; the note of what was seen."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from bench.tools.rows import Row
from mirror.plugin.upstream.first_seen import FirstSeen
from tests.support.dists import wheel
from tests.support.servers import running_mirror
from tests.support.upstream import JSON, Upstream

PAGES, FILES = 30, 2400
POLICIES = """
policy.deny = ["evil-*", "other==1.0"]
policy.hide_yanked = true
policy.minimum_age = "7d"
policy.sdists = ["other"]
"""


def run() -> Iterator[Row]:
    """Two mirrors of one upstream, asked in turn for pages that neither has."""
    with Upstream() as upstream:
        for number in range(PAGES):
            name = f"large{number}"
            upstream.add(name, *(wheel(name, f"1.{minor}") for minor in range(FILES)))
        address = f'[upstream]\nurl = "{upstream.url}"\n'
        with running_mirror(f"{POLICIES}{address}") as guarded, running_mirror(address) as plain:
            pairs = [_pair(guarded.url, plain.url, number) for number in range(PAGES)]
    ours, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(first / second for first, second in pairs)
    yield Row(f"policies: uncached page of {FILES} files", "s", ours, without, ratio, "<= 1.1")
    note = _note()
    yield Row("policies: note of what was first seen", "s", note, without, note / without, "<= 0.05")


def _pair(guarded: str, plain: str, number: int) -> tuple[float, float]:
    """Seconds with policies and without; each comes first every other time."""
    taken = {url: _seconds(url, number) for url in ((guarded, plain) if number % 2 else (plain, guarded))}
    return taken[guarded], taken[plain]


def _seconds(url: str, number: int) -> float:
    begin = time.perf_counter()
    answer = requests.get(f"{url}/root/pypi/+simple/large{number}/", headers={"Accept": JSON}, timeout=60)
    taken = time.perf_counter() - begin
    answer.raise_for_status()
    return taken


def _note() -> float:
    """Seconds for the note of one such page."""
    with tempfile.TemporaryDirectory() as folder:
        seen, taken = FirstSeen(Path(folder)), []
        for number in range(PAGES):
            names = [f"large{number}-1.{minor}-py3-none-any.whl" for minor in range(FILES)]
            begin = time.perf_counter()
            seen.note("root/pypi", f"large{number}", names, time.time())
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)

"""A fresh mirror and a client without a cache: a hundred pinned packages, at the first try, ten times."""

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.tools import stage, uv
from bench.tools.rows import Row
from tests.support.servers import BIN, Mirror, running_mirror

PINS = str(Path(__file__).with_name("hundred.txt"))
ROUNDS = 10


def run() -> Iterator[Row]:
    """Each round: a new mirror, a new virtualenv, through it and without it in turn."""
    ratios, ours, direct, memory, failed = [], [], [], [], 0
    for number in range(ROUNDS + 1):
        with running_mirror() as mirror:
            without = install(mirror, uv.upstream_of(mirror), "direct")
            try:
                through = install(mirror, mirror.index_url("company/dev"), "ours")
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed += 1
                continue
            memory.append(stage.memory(mirror))
        if number:  # the first round warms the upstream's own caches
            ratios.append(through / without)
            ours.append(through)
            direct.append(without)
    yield Row(f"cold: failed of {ROUNDS + 1} tries", "count", failed, None, failed, "<= 0")
    if ratios:
        through, without = statistics.median(ours), statistics.median(direct)
        yield Row("cold: memory of the server", "MB", max(memory), None, max(memory), "<= 300")
        yield Row("cold: 100 packages", "s", through, without, statistics.median(ratios), "<= 1.5")


def install(mirror: Mirror, index: str, name: str) -> float:
    """Install all of them into a new virtualenv."""
    venv = str(mirror.home / name)
    stage.timed(
        [str(BIN / "uv"), "venv", "--quiet", "--python", "3.11", venv], mirror.home, mirror.environment
    )
    return uv.seconds(mirror, index, "install", "--python", venv, "--requirement", PINS)

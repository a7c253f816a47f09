"""`uv pip compile` of seven requirements that need backtracking: through a mirror and without one."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.tools import uv
from bench.tools.rows import Row
from tests.support.servers import Mirror, running_mirror

# awscli pins one botocore, s3fs bounds it through aiobotocore, boto3 wants a recent one. Without its bound
# s3fs ends at a release of 2020 that bounds nothing, a minute and two hundred wheels later.
SEVEN = ["boto3", "s3fs>=2024", "awscli", "flask", "celery", "fastapi", "sqlalchemy"]
ROUNDS = 5


def run() -> Iterator[Row]:
    """Fresh mirrors for cold, the last of them again for warm; direct before each, to the same upstream."""
    cold: list[float] = []
    warm: list[float] = []
    direct: list[float] = []
    stored = 0.0
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join(SEVEN))
        wanted.flush()
        for number in range(ROUNDS + 1):
            with running_mirror() as mirror:
                index = mirror.index_url("company/dev")
                options = ("compile", "--python-version", "3.11", wanted.name)
                times = [
                    uv.seconds(mirror, where, *options) for where in (uv.upstream_of(mirror), index, index)
                ]
                stored = wheels(mirror)
            if number:  # the first round warms the upstream's own caches
                for figures, seconds in zip((direct, cold, warm), times, strict=True):
                    figures.append(seconds)
    yield row("resolve, cold mirror", cold, direct, "<= 1.5")
    yield row("resolve, warm mirror", warm, direct, "<= 0.5")
    yield Row("resolve, wheels stored", "MB", stored, None, stored, "<= 5")


def row(name: str, ours: list[float], direct: list[float], goal: str) -> Row:
    """Medians, and the median of the ratios of each round."""
    ratio = statistics.median(a / b for a, b in zip(ours, direct, strict=True))
    return Row(name, "s", statistics.median(ours), statistics.median(direct), ratio, goal)


def wheels(mirror: Mirror) -> float:
    """What the mirror stores of distributions, in MB."""
    files = Path(mirror.home, "mirror", "server", "+files")
    return sum(path.stat().st_size for path in files.rglob("*") if path.is_file()) / 1e6

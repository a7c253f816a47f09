"""`uv pip compile` of two sets of requirements, cold and warm: through a mirror and without one."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.tools import uv
from bench.tools.rows import Row
from tests.support.servers import Mirror, running_mirror

# awscli pins one botocore, s3fs bounds it through aiobotocore, boto3 wants a recent one. Without its bound
# s3fs ends at a release of 2020 that bounds nothing, a minute and two hundred wheels later.
BACKTRACKING = ["boto3", "s3fs>=2024", "awscli", "flask", "celery", "fastapi", "sqlalchemy"]
# Two hundred packages without much backtracking, some of whose pages list ten thousand wheels (pydantic-core,
# aiohttp, grpcio): 117,000 files in all. Direct, uv needs two seconds for them.
LARGE_PAGES = [
    *("aiohttp", "boto3", "cryptography", "dask[complete]", "django", "fastapi[standard]"),
    *("google-cloud-storage", "grpcio", "jupyterlab", "matplotlib", "numpy", "pandas", "pydantic", "pytest"),
    *("scikit-learn", "sqlalchemy"),
]
ROUNDS = 5


def run() -> Iterator[Row]:
    """Fresh mirrors for cold, the last of them again for warm; direct before each, to the same upstream."""
    yield from compare("resolve", BACKTRACKING, "<= 0.5")
    # Most of a warm one is uv's own: reading 59 MB of pages.
    yield from compare("resolve large pages", LARGE_PAGES, "<= 1", "--only-binary", ":all:")


def compare(name: str, requirements: list[str], warm_goal: str, *options: str) -> Iterator[Row]:
    """The rows of one set."""
    cold: list[float] = []
    warm: list[float] = []
    direct: list[float] = []
    stored = 0.0
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join(requirements))
        wanted.flush()
        for number in range(ROUNDS + 1):
            with running_mirror() as mirror:
                index = mirror.index_url("company/dev")
                command = ("compile", "--python-version", "3.11", *options, wanted.name)
                times = [
                    uv.seconds(mirror, where, *command) for where in (uv.upstream_of(mirror), index, index)
                ]
                stored = wheels(mirror)
            if number:  # the first round warms the upstream's own caches
                for figures, seconds in zip((direct, cold, warm), times, strict=True):
                    figures.append(seconds)
    yield row(f"{name}, cold mirror", cold, direct, "<= 1.5")
    yield row(f"{name}, warm mirror", warm, direct, warm_goal)
    yield Row(f"{name}, wheels stored", "MB", stored, None, stored, "<= 5")


def row(name: str, ours: list[float], direct: list[float], goal: str) -> Row:
    """Medians, and the median of the ratios of each round."""
    ratio = statistics.median(a / b for a, b in zip(ours, direct, strict=True))
    return Row(name, "s", statistics.median(ours), statistics.median(direct), ratio, goal)


def wheels(mirror: Mirror) -> float:
    """Size of the distributions that the mirror stores, in MB."""
    files = Path(mirror.home, "mirror", "server", "+files")
    return sum(path.stat().st_size for path in files.rglob("*") if path.is_file()) / 1e6

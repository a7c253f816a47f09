"""`mirror prefetch` of a hundred pinned packages over a limited line; `mirror verify` of two hundred."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench.tools.rows import Row
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN
from tests.support.upstream import Upstream

LINE = 12_500_000
"""Bytes a second: 100 Mbit/s."""
SIZES = (20_000, 60_000, 150_000, 400_000, 3_000_000)
"""Bytes of wheels, as they are in a usual lock: most are small, a few make most of the bytes."""


def run() -> Iterator[Row]:
    """Fill a mirror with a hundred, then with two hundred; look at all, again and at once."""
    dists = [wheel(f"bench-{number}", "1.0", padding=SIZES[number % len(SIZES)]) for number in range(200)]
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        for dist in dists:
            upstream.add(dist.filename.partition("-")[0].replace("_", "-"), dist)
        upstream.line = LINE
        ideal = sum(len(dist.content) for dist in dists[:100]) / LINE
        bare = lock(mirrored, "pinned.txt", dists[:100], hashes=False)
        seconds = timed(mirrored, "prefetch", bare)
        yield Row("prefetch: 100 pinned packages, 100 Mbit/s", "s", seconds, ideal, ideal / seconds, ">= 0.8")
        seconds = timed(mirrored, "prefetch", bare)
        yield Row("prefetch: the same again", "s", seconds, None, seconds, "<= 5")
        hashed = lock(mirrored, "locked.txt", dists, hashes=True)
        timed(mirrored, "prefetch", hashed)
        for name, path in (("200 with hashes", hashed), ("100 without hashes", bare)):
            seconds = timed(mirrored, "verify", path)
            yield Row(f"verify: {name}", "s", seconds, None, seconds, "<= 3")


def lock(mirrored: Mirrored, name: str, dists: list[Dist], *, hashes: bool) -> Path:
    """A requirements.txt that pins all of them."""
    lines = [
        f"{dist.filename.partition('-')[0]}==1.0{f' --hash=sha256:{dist.sha256}' if hashes else ''}\n"
        for dist in dists
    ]
    path = mirrored.mirror.home / name
    path.write_text("".join(lines))
    return path


def timed(mirrored: Mirrored, command: str, path: Path) -> float:
    """Seconds of the command, which must succeed."""
    started = time.monotonic()
    mirrored.mirror.run(BIN / "mirror", command, path)
    return time.monotonic() - started

"""uv without a cache, against an index: the seconds that it takes."""

import json
import tempfile
from pathlib import Path

from bench.tools import stage
from tests.support.servers import BIN, Mirror


def seconds(mirror: Mirror, index: str, *arguments: str) -> float:
    """Seconds that `uv pip …` takes with an empty cache. Raises RuntimeError when it fails."""
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        environment = {**mirror.environment, "UV_CACHE_DIR": f"{scratch}/cache"}
        command = [str(BIN / "uv"), "pip", *arguments, "--quiet", "--default-index", index]
        return stage.timed(command, Path(scratch), environment)


def upstream_of(mirror: Mirror) -> str:
    """The address of the index that `mirror` caches, to ask it without a mirror."""
    status = json.loads(mirror.run(BIN / "mirror", "status", "--json").stdout)
    return str(status["upstream"]["url"])

"""Read the log of decisions that the server writes (mirror/plugin/guards/decision_log.py)."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read(folder: Path) -> list[Mapping[str, Any]]:
    """The lines of all indexes, the oldest first."""
    lines = (line for path in sorted(folder.glob("*.jsonl*")) for line in _lines(path))
    return sorted(lines, key=lambda line: str(line.get("at", "")))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # cut by a power cut
            continue
        if isinstance(found, dict):
            yield found

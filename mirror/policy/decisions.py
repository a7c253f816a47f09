"""Read the log of decisions that the server writes (mirror/plugin/guards/decision_log.py)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirror import line_log


def read(folder: Path) -> list[Mapping[str, Any]]:
    """The lines of all indexes, the oldest first."""
    logs = {path.with_name(re.sub(r"\.[0-9]+$", "", path.name)) for path in folder.glob("*.jsonl*")}
    lines = (line for path in sorted(logs) for line in line_log.read(path))
    return sorted(lines, key=lambda line: str(line.get("at", "")))

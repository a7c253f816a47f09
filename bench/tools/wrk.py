"""A URL in, requests per second out: wrk with 8 connections."""

import re
import subprocess
from collections.abc import Mapping


def rate(url: str, headers: Mapping[str, str] | None = None, seconds: int = 5) -> float:
    """Requests per second that `url` answers with 2xx. Raises RuntimeError when some were not."""
    options = [option for name, value in (headers or {}).items() for option in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "30s", *options, url]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report:
        raise RuntimeError(f"{url} did not always answer 2xx:\n{report}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", report)
    if not found:
        raise RuntimeError(f"wrk printed no rate:\n{report}")
    return float(found[1])

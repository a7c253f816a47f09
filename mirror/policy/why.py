"""Ask which files of a project are listed, and wait for what the server has yet to find out about them."""

import time
from collections.abc import Callable
from typing import Any

from mirror import api as client
from mirror import decision_summary
from mirror.api import Api
from mirror.policy import report

PATIENCE = 15.0  # seconds for licenses and provenance that the server begins to look at when it is asked
EVERY = 0.5  # seconds


def ask(
    api: Api, index: str, project: str, version: str | None, sleep: Callable[[float], object] = time.sleep
) -> dict[str, Any]:
    """The decisions about the files of `project`, or of one version, on `index`.

    `project` is normalised. Raises PackhorseError.
    """
    for _ in range(int(PATIENCE / EVERY)):
        found = _asked(api, index, project, version)
        if not any(_is_pending(file) for file in found["files"]):
            return found
        sleep(EVERY)
    return _asked(api, index, project, version)


def _asked(api: Api, index: str, project: str, version: str | None) -> dict[str, Any]:
    with client.about(f"{project} on {index}"):
        answer = api.call("GET", f"/{index}/+why/{project}")
    return report.of_version(answer, version)


def _is_pending(file: decision_summary.File) -> bool:
    return not file["allowed"] and str(file["reason"]).endswith(decision_summary.PENDING)

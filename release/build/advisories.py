"""Ask the company index which locked packages have known vulnerabilities, while a build goes on."""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from packhorse.sbom import Part
from release import index

PATIENCE = 2.0  # seconds that a finished build waits for the answer
AT_ONCE = 100  # packages of one question: nginx takes addresses of 8 kB
MOST = 20  # warnings


def ask(parts: Sequence[Part], index_url: str, get: index.Get) -> Callable[[], list[str]]:
    """Begin to ask; the result is called at the end, and returns warnings.

    An index that does not answer in time, or has no advisories, costs a warning and never the build.
    """
    pins = sorted({f"{part.name}=={part.version}" for part in parts if part.version})
    found: list[dict[str, Any]] = []

    def run() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
            found.extend(_affected(pins, index_url, get))

    thread = threading.Thread(target=run, name="ask for advisories", daemon=True)
    thread.start()

    def answer() -> list[str]:
        thread.join(PATIENCE)
        return list(_sentences([*found]))

    return answer


def _affected(pins: Sequence[str], index_url: str, get: index.Get) -> Iterator[dict[str, Any]]:
    for start in range(0, len(pins), AT_ONCE):
        query = urlencode([("package", pin) for pin in pins[start : start + AT_ONCE]])
        answer = get(f"{index.server(index_url)}/+advisories?{query}", "application/json")
        if answer.status != 200:  # another index than a mirror of ours, or one without advisories
            return
        for each in json.loads(answer.body)["result"]["affected"]:
            yield {key: str(each[key])[:200] for key in ("name", "version", "id", "severity")} | {
                "fixed_in": str(each["fixed_in"] or "")[:200]
            }


def _sentences(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for each in found[:MOST]:
        rated = "of unknown severity" if each["severity"] == "unknown" else each["severity"]
        fixed = f"fixed in {each['fixed_in']}" if each["fixed_in"] else "no fix is known"
        yield f"{each['name']} {each['version']} has the vulnerability {each['id']} ({rated}; {fixed})."
    if len(found) > MOST:
        yield f"There are {len(found) - MOST} more known vulnerabilities: mirror audit pylock.toml"

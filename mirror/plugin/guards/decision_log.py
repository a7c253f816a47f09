"""Log of decisions against files: JSON lines, one file for each index, a line when something has changed.

    +decisions/<user>%2F<index>.jsonl    and .jsonl.1, what was there before the file was full

A line is {"at", "on", "project", "denied": [{"rule", "policy_of", "reason", "count", "files"}], "key"}, and
perhaps "reported", which is like "denied", of files that are listed, and "looks_like"; without any denied it
says that all files are allowed. `key` tells two lines apart. A
"project" with a slash is a file that was asked for by its address.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from devpi_server.log import threadlog

from mirror import line_log
from mirror.line_log import LineLog
from mirror.plugin.policy.evaluation import Denial

LARGEST = 5_000_000  # bytes of a file; there are two of each index
MOST_FILES = 20  # that a line names for each rule and reason
_NOTHING = ""


class DecisionLog:
    """The logs of one server folder."""

    def __init__(
        self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC), largest: int = LARGEST
    ) -> None:
        self._folder = folder
        self._now = now
        self._largest = largest
        self._lock = threading.Lock()
        self._logs: dict[str, tuple[LineLog, dict[str, str]]] = {}  # index -> log, project -> last key in it
        self._failing = False

    def note(
        self,
        index: str,
        project: str,
        denied: Sequence[tuple[str, Denial]],
        looks_like: str = "",
        reported: Sequence[tuple[str, Denial]] = (),
    ) -> bool:
        """Log what is decided about the files of a project; False when the last line says the same.

        False, too, when the line cannot be written: the decision holds all the same, and the next time that
        it is noted is the next try.
        """
        key = _key(denied, looks_like, reported)
        with self._lock:
            try:
                log, last = self._log(index)
                if last.get(project, _NOTHING) == key:
                    return False
                line = {
                    "at": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "on": index,
                    "project": project,
                    "denied": list(summed(denied)),
                    **({"reported": list(summed(reported))} if reported else {}),
                    **({"looks_like": looks_like} if looks_like else {}),
                    "key": key,
                }
                log.append(f"{json.dumps(line)}\n".encode())
            except OSError as error:
                if not self._failing:
                    threadlog.error("decisions about files on %s cannot be logged: %s", index, error)
                self._failing = True
                return False
            self._failing = False
            last[project] = key
            return True

    def read(self, index: str) -> list[Mapping[str, Any]]:
        """The lines that are there, the oldest first."""
        return list(line_log.read(self._path(index)))

    def _log(self, index: str) -> tuple[LineLog, dict[str, str]]:
        """The log of an index and what it says last of each project. Raises OSError."""
        if index not in self._logs:
            path = self._path(index)
            log = LineLog(path, self._largest, keep=1)
            if path.exists():
                log.repair()
            last = {str(line.get("project")): str(line.get("key")) for line in self.read(index)}
            self._logs[index] = log, last
        return self._logs[index]

    def _path(self, index: str) -> Path:
        return self._folder / f"{quote(index, '')}.jsonl"


def _key(
    denied: Sequence[tuple[str, Denial]], looks_like: str, reported: Sequence[tuple[str, Denial]]
) -> str:
    if not denied and not reported:
        return looks_like or _NOTHING
    text = looks_like + "\n".join(
        sorted(f"{name}/{denial.rule}/{denial.policy_of}" for name, denial in denied)
    )
    # A report is about its reason: another vulnerability is news.
    text += "".join(
        sorted(f"\n{name}/{found.rule}/{found.policy_of}/{found.reason}" for name, found in reported)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def summed(denied: Sequence[tuple[str, Denial]]) -> Iterable[dict[str, Any]]:
    """Decisions for each rule and index: with one reason, the number of files, and the first of them."""
    found: dict[tuple[str, str], list[tuple[str, Denial]]] = {}
    for name, denial in denied:
        found.setdefault((denial.rule, denial.policy_of), []).append((name, denial))
    for (rule, policy_of), each in found.items():
        yield {
            "rule": rule,
            "policy_of": policy_of,
            "reason": each[0][1].reason,
            "count": len(each),
            "files": [name for name, _ in each[:MOST_FILES]],
        }

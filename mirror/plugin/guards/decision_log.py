"""Log of decisions against files: JSON lines, one file for each index, a line when something has changed.

    +decisions/<user>%2F<index>.jsonl    and .jsonl.1, what was there before the file was full

A line is {"at", "on", "project", "denied": [{"rule", "policy_of", "reason", "count", "files"}], "key"}, and
perhaps "looks_like"; without any denied it says that all files are allowed. `key` tells two lines apart. A
"project" with a slash is a file that was asked for by its address.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from devpi_server.log import threadlog

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
        self._last: dict[str, dict[str, str]] = {}  # index -> project -> key of its last line

    def note(
        self, index: str, project: str, denied: Sequence[tuple[str, Denial]], looks_like: str = ""
    ) -> bool:
        """Log what is decided about the files of a project; False when the last line says the same."""
        key = _key(denied, looks_like)
        with self._lock:
            if index not in self._last:
                self._last[index] = {line["project"]: line["key"] for line in self.read(index)}
            if self._last[index].get(project, _NOTHING) == key:
                return False
            self._last[index][project] = key
            line = {
                "at": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                "on": index,
                "project": project,
                "denied": list(_summed(denied)),
                **({"looks_like": looks_like} if looks_like else {}),
                "key": key,
            }
            try:
                self._append(index, f"{json.dumps(line)}\n".encode())
            except OSError as error:  # a full disk: the decision holds all the same
                threadlog.error("the decision about %s on %s cannot be logged: %s", project, index, error)
            return True

    def read(self, index: str) -> list[Mapping[str, Any]]:
        """The lines that are there, the oldest first."""
        path = self._path(index)
        return [line for each in (_older(path), path) for line in _lines(each)]

    def _append(self, index: str, line: bytes) -> None:
        path = self._path(index)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists() and path.stat().st_size + len(line) > self._largest:
            path.replace(_older(path))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _path(self, index: str) -> Path:
        return self._folder / f"{quote(index, '')}.jsonl"


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # cut by a power cut
            continue
        if isinstance(found, dict) and {"project", "key"} <= found.keys():
            yield found


def _key(denied: Sequence[tuple[str, Denial]], looks_like: str) -> str:
    if not denied:
        return looks_like or _NOTHING
    text = looks_like + "\n".join(
        sorted(f"{name}/{denial.rule}/{denial.policy_of}" for name, denial in denied)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _summed(denied: Sequence[tuple[str, Denial]]) -> Iterable[dict[str, Any]]:
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

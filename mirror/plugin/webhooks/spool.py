"""Messages on disk that wait for their delivery, over restarts. Bounded; each file appears whole."""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packhorse import files


@dataclass(frozen=True)
class Message:
    """A message; receivers drop what comes again under the same `identity`."""

    identity: str
    body: str
    since: float  # time.time()
    attempts: int = 0


class FullError(Exception):
    """Raised when as many messages wait as may."""


class DamagedError(Exception):
    """The oldest message cannot be read."""


class Spool:
    """Messages in their order, at most `most`. Thread-safe."""

    def __init__(self, folder: Path, most: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(".*"):  # of a write that was killed
            leftover.unlink()
        self._names = sorted(path.name for path in folder.glob("*.json"))
        self._first: Message | None = None  # once it was read

    def __len__(self) -> int:
        return len(self._names)

    def add(self, body: str) -> None:
        """Add a message. Raises FullError or OSError."""
        with self._lock:
            if len(self._names) >= self._most:
                raise FullError
            now = self._clock()
            message = Message(f"msg_{secrets.token_hex(16)}", body, now)
            name = f"{now:017.6f}-{message.identity}.json"
            self._write(name, message)
            self._names.append(name)

    def first(self) -> Message | None:
        """The oldest message. Raises DamagedError."""
        with self._lock:
            if self._names and not self._first:
                try:
                    self._first = Message(**json.loads((self._folder / self._names[0]).read_bytes()))
                except (OSError, ValueError, TypeError) as error:
                    raise DamagedError(str(error)) from error
            return self._first

    def remove_first(self) -> None:
        """Drop the oldest message: it is delivered, or never will be."""
        with self._lock:
            self._first = None
            if self._names:
                (self._folder / self._names.pop(0)).unlink(missing_ok=True)

    def count_attempt(self, message: Message) -> None:
        """Note that the oldest message was tried in vain."""
        with self._lock:
            self._first = replace(message, attempts=message.attempts + 1)
            with contextlib.suppress(OSError):  # a full disk: the number in memory counts until a restart
                self._write(self._names[0], self._first)

    def _write(self, name: str, message: Message) -> None:
        files.write_whole(self._folder / name, json.dumps(asdict(message)).encode(), 0o600)

"""Messages on disk that wait for their delivery, over restarts. Bounded; each file appears whole."""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

MOST = 1000  # messages of one webhook


@dataclass(frozen=True)
class Message:
    """A message; receivers drop what comes again under the same `identity`."""

    identity: str
    body: str
    since: float  # time.time()
    attempts: int = 0


class FullError(Exception):
    """As many messages wait as may."""


class Spool:
    """The messages of one webhook, in their order. Thread-safe."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        self._names = sorted(path.name for path in folder.glob("*.json"))

    def __len__(self) -> int:
        return len(self._names)

    def add(self, body: str) -> None:
        """Add a message. Raises FullError or OSError."""
        with self._lock:
            if len(self._names) >= MOST:
                raise FullError
            now = self._clock()
            message = Message(f"msg_{secrets.token_hex(16)}", body, now)
            name = f"{now:017.6f}-{message.identity}.json"
            self._write(name, message)
            self._names.append(name)

    def first(self) -> Message | None:
        """The oldest message; one that cannot be read is dropped."""
        while True:
            with self._lock:
                name = self._names[0] if self._names else None
            if name is None:
                return None
            try:
                return Message(**json.loads((self._folder / name).read_bytes()))
            except (OSError, ValueError, TypeError):
                self.remove_first()

    def remove_first(self) -> None:
        """Drop the oldest message: it is delivered, or never will be."""
        with self._lock:
            if self._names:
                (self._folder / self._names.pop(0)).unlink(missing_ok=True)

    def count_attempt(self, message: Message) -> None:
        """Note that the oldest message was tried in vain. Raises OSError."""
        with self._lock:
            self._write(self._names[0], replace(message, attempts=message.attempts + 1))

    def _write(self, name: str, message: Message) -> None:
        scratch = self._folder / f"{name}.tmp"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
                file.write(json.dumps(asdict(message)).encode())
            scratch.rename(self._folder / name)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

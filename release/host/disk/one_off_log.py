"""Write the log of a one-off, in lines `TIME PID TEXT` as those of processes; it is bounded."""

import contextlib
import os
import threading
from datetime import UTC, datetime

from release.host.disk.layout import Layout

MOST = 10 * 2**20
"""Bytes after which the log becomes LOG.1, in the place of the one before."""
KEPT = 50
"""Logs of one-offs, and of each job, that stay, the newest ones."""
LONGEST = 65536
"""Bytes of a line: a longer one goes on in the next, and the first has a "+" after the process."""


class OneOffLog:
    """log/PROCESS.RELEASE.NAME.log; PROCESS is "run", or the name of a job.

    What cannot be written is lost: the one-off goes on.
    The application may write into that folder, too: the file has to be new.
    """

    def __init__(self, layout: Layout, release: int, name: str, pid: int, process: str = "run") -> None:
        self.path = layout.logs / f"{process}.{release}.{name}.log"
        self.pid = pid
        self._begun: dict[int, bytes] = {}
        self._size = 0
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            logs = sorted(layout.logs.glob(f"{process}.*.*.log"), key=lambda path: path.lstat().st_mtime)
            for old in logs[: -KEPT + 1]:
                old.unlink()
                old.with_name(f"{old.name}.1").unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Write the line `text`, which is ours."""
        with self._lock:
            self._append(self._line(os.fsencode(text.replace("\n", " "))))

    def output(self, stream: int, data: bytes) -> None:
        """Write the whole lines of `data`, which comes from `stream`, and keep the rest for later."""
        with self._lock:
            *lines, rest = (self._begun.pop(stream, b"") + data).split(b"\n")
            out = b"".join(map(self._line, lines))
            while len(rest) > LONGEST:
                out += self._line(rest[:LONGEST], b"+")
                rest = rest[LONGEST:]
            self._begun[stream] = rest
            self._append(out)

    def flush(self) -> None:
        """Write what has no end of line."""
        with self._lock:
            self._append(b"".join(self._line(rest) for rest in self._begun.values() if rest))
            self._begun.clear()

    def _line(self, text: bytes, mark: bytes = b"") -> bytes:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return b"%s %d%s %s\n" % (now.encode(), self.pid, mark, text)

    def _append(self, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if not lines:
            return
        with contextlib.suppress(OSError):
            if self._size + len(lines) > MOST:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._size = 0
            new = os.O_CREAT | os.O_EXCL if not self._size else 0
            descriptor = os.open(self.path, flags | new, 0o640)
            try:
                self._size += os.write(descriptor, lines)
            finally:
                os.close(descriptor)

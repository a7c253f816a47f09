"""Send what an application logs to the host's journald or syslog: what `release logs drain` starts.

circusd runs it as the application's user. Where it is in each log is in a file, so that a restart loses
nothing; what was sent in the second before a power cut is sent again. A receiver that is slow or away is
waited for, and the application notices nothing of it: the lines are in its logs.
"""

import contextlib
import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from packhorse import files
from release.host.commands.logs import logs
from release.host.disk import log_drain
from release.host.disk.layout import Layout
from release.host.disk.log_reader import LogReader
from release.host.formats import log_line, log_message

HELD = 64 * 2**20
"""Bytes that a log may be behind, in files that are held open; beyond that lines are skipped, and counted."""
INTERVAL = 0.5
SAVED = 1.0
"""Seconds between two records of the positions."""
PAUSE = 2.0
"""Seconds before the next try to reach the receiver."""


class SenderStoppedError(Exception):
    """circusd stops the program, or has died."""


class Sender:
    """Sends the lines of all logs of releases to `path`, as `to` takes them."""

    def __init__(self, layout: Layout, to: str, path: Path, stop: threading.Event) -> None:
        self.layout, self.to, self.path, self.stop = layout, to, path, stop
        self.parent = os.getppid()
        self.positions = log_drain.positions(layout)
        self.readers: dict[str, LogReader] = {}
        self.skipped: dict[str, int] = {}
        self.unsent: dict[str, int] = {}  # log -> bytes that were read, and not sent yet
        self.saved = time.monotonic()
        self.socket: socket.socket | None = None

    def run(self) -> None:
        """Send until the program is stopped."""
        try:
            while True:
                self._refresh()
                sent = [self._send_some(name) for name in list(self.readers)]
                if time.monotonic() - self.saved > SAVED:
                    self._save()
                self._pause(0 if any(sent) else INTERVAL)
        except SenderStoppedError:
            self._save()

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds) or os.getppid() != self.parent:
            raise SenderStoppedError

    def _refresh(self) -> None:
        """Open new logs and new parts of them before they are rotated away; forget logs that were removed."""
        there = logs.names(self.layout)
        for name in there:
            if name not in self.readers and (log_line.source(name) or ("", None))[1] is not None:
                self.readers[name] = LogReader(self.layout.log(name), at=self.positions.get(name))
        for name, reader in list(self.readers.items()):
            reader.refresh()
            self.skipped[name] = self.skipped.get(name, 0) + reader.skip(HELD)
            if name not in there and not reader.unread():
                reader.close()
                del self.readers[name]

    def _send_some(self, name: str) -> bool:
        """Send some lines of a log; returns whether there were any."""
        reader = self.readers[name]
        if self.skipped.get(name) or reader.gap:
            size = f"{self.skipped[name]} bytes" if self.skipped.get(name) else "Some lines"
            self._send(name, b"%s were skipped: they were not taken in time." % size.encode())
            self.skipped[name], reader.gap = 0, False
        lines = reader.lines()
        self.unsent[name] = sum(map(len, lines)) + len(lines)
        for line in lines:
            self._send(name, line)
            self.unsent[name] -= len(line) + 1
        return bool(lines)

    def _send(self, name: str, line: bytes) -> None:
        process, release = log_line.source(name) or (name, None)
        source = log_message.LineSource(self.layout.app, process, release or 0)
        parsed = log_line.parse(line)
        data, most = parsed.text.encode("utf-8", "surrogateescape"), log_message.LONGEST[self.to]
        while True:
            if self._deliver(log_message.of_line(self.to, source, parsed, data[:most])):
                data = data[most:]
                if not data:
                    return
            else:
                most = max(1, most // 2)

    def _deliver(self, message: bytes) -> bool:
        """Hand over a datagram, however long that takes; False: it is too large for this host."""
        told = False
        while True:
            try:
                if self.socket is None:
                    self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    self.socket.settimeout(PAUSE)
                    self.socket.connect(str(self.path))
                self.socket.send(message)
            except TimeoutError:
                pass  # it is there, and does not read
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    return False
                self._disconnect()
                if not told:
                    print(f"Waiting for {self.path}: {os.strerror(error.errno or 0)}", flush=True)  # noqa: T201
                told = True
                self._pause(PAUSE)
            else:
                return True
            self._refresh()
            self._pause(0)

    def _disconnect(self) -> None:
        if self.socket:
            self.socket.close()
        self.socket = None

    def _save(self) -> None:
        self.saved = time.monotonic()
        found = {name: reader.position(self.unsent.get(name, 0)) for name, reader in self.readers.items()}
        positions = {name: position for name, position in found.items() if position}
        if positions != self.positions:
            with contextlib.suppress(OSError):  # a full disk: then some lines are sent again
                files.write_whole(
                    log_drain.positions_file(self.layout), json.dumps(positions).encode(), 0o660
                )
                self.positions = positions


def main(layout: Layout, to: str) -> None:
    """Send until SIGTERM, or until circusd is gone."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"Sending to {to}", flush=True)  # noqa: T201  # its log
    Sender(layout, to, log_drain.RECEIVERS[to], stop).run()
    sys.exit(0)

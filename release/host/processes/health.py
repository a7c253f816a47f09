"""Probe a release over HTTP: one GET request, healthy when the answer is 2xx."""

import http.client
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from release.host.disk.manifest import Health

# The first request to an application may import half of it.
ANSWER_TIMEOUT = 10.0
TICK = 0.05

NO_ANSWER = "none: the process does not accept on the socket it was given, or thinks for too long"

Address = Path | tuple[str, int]
"""A unix socket, or host and port."""


@dataclass(frozen=True)
class Answer:
    """Result of a probe: `text` is for people, such as "500: no database"; `status` is None without one."""

    healthy: bool
    text: str
    status: int | None = None


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to `address`."""

    def __init__(self, address: Address, host: str) -> None:
        super().__init__(host, timeout=ANSWER_TIMEOUT)
        self.address = address

    def connect(self) -> None:
        if isinstance(self.address, Path):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(ANSWER_TIMEOUT)
            self.sock.connect(str(self.address))
        else:
            self.sock = socket.create_connection(self.address, ANSWER_TIMEOUT)


def probe(address: Address, health: Health, tick: Callable[[], None] = lambda: None) -> Answer:
    """Send one request. `tick` runs every TICK seconds while the answer is awaited, and may raise."""
    connection = _Connection(address, health.host)
    # A proxy in front ends TLS: without the header, applications that insist on https answer a redirect.
    headers = {"User-Agent": "packhorse-probe", "X-Forwarded-Proto": "https", "Connection": "close"}
    try:
        connection.request("GET", health.path, headers=headers)
        deadline = time.monotonic() + min(health.timeout, ANSWER_TIMEOUT)
        while not select.select([connection.sock], [], [], TICK)[0]:
            tick()
            if time.monotonic() > deadline:
                return Answer(healthy=False, text=NO_ANSWER)
        response = connection.getresponse()
        first = response.read(4096).decode("utf-8", "replace").strip().partition("\n")[0]
    except (OSError, http.client.HTTPException) as error:
        return Answer(healthy=False, text=f"none: {_reason(error)}")
    finally:
        connection.close()
    text = f"{response.status} {response.reason}: {first[:200]}"
    return Answer(200 <= response.status < 300, text, response.status)


def _reason(error: Exception) -> str:
    """The error in words, "Connection refused" without class and number where the system has some."""
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}".strip()

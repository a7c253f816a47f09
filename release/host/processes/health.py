"""Probe a release over HTTP: a GET request, healthy when the answer is 2xx."""

import contextlib
import http.client
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from release.host.disk.manifest import Health

# The first request to an application may import half of it.
ANSWER_TIMEOUT = 10.0
TICK = 0.05

DEFAULT_PATHS = ("/healthz", "/")
"""The paths of a probe for which release.toml names none: the second is asked when there is no first."""

NO_ANSWER = "none: the process does not accept on the socket it was given, or thinks for too long"

Address = Path | tuple[str, int]
"""A unix socket, or host and port."""


@dataclass(frozen=True)
class ProbeResult:
    """Result of a probe: `text` is for people, such as "500: no database"; `status` is None without one.

    `path` is the one that was asked, the last if there were two.
    """

    healthy: bool
    text: str
    status: int | None = None
    path: str = DEFAULT_PATHS[0]


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to `address`."""

    def __init__(self, address: Address, host: str) -> None:
        super().__init__(host, timeout=ANSWER_TIMEOUT)
        self.address = address
        self.is_cut = False

    def connect(self) -> None:
        if isinstance(self.address, Path):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(ANSWER_TIMEOUT)
            self.sock.connect(str(self.address))
        else:
            self.sock = socket.create_connection(self.address, ANSWER_TIMEOUT)

    def cut(self) -> None:
        """End the connection from another thread. To the reader that may look like the end of the answer."""
        self.is_cut = True
        with contextlib.suppress(OSError, AttributeError):  # it has been closed meanwhile
            self.sock.shutdown(socket.SHUT_RDWR)


def request(health: Health) -> str:
    """The request of the probe, for people."""
    return f"GET {health.path}" if health.path else " or else ".join(f"GET {path}" for path in DEFAULT_PATHS)


def probe(address: Address, health: Health, tick: Callable[[], None] = lambda: None) -> ProbeResult:
    """Send one request, a second one where nobody has set a path and the application has not the first.

    `tick` runs every TICK seconds while an answer is awaited, and may raise.
    """
    if health.path:
        return _ask(address, health, health.path, tick)
    usual = _ask(address, health, DEFAULT_PATHS[0], tick)
    if usual.healthy or usual.status is None or usual.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return usual
    root = _ask(address, health, DEFAULT_PATHS[1], tick)
    # Nobody made it for probes: it may lead to a page, or ask for a password.
    leads = root.status is not None and (300 <= root.status < 400 or root.status == HTTPStatus.UNAUTHORIZED)
    return replace(root, healthy=root.healthy or leads)


def _ask(address: Address, health: Health, path: str, tick: Callable[[], None]) -> ProbeResult:
    """Send one request, and read the beginning of its answer."""
    connection = _Connection(address, health.host)
    # A proxy in front ends TLS: without the header, applications that insist on https answer a redirect.
    headers = {"User-Agent": "packhorse-probe", "X-Forwarded-Proto": "https", "Connection": "close"}
    # An application may answer byte by byte: the whole answer has a limit.
    limit = threading.Timer(min(health.timeout, ANSWER_TIMEOUT) + 1, connection.cut)
    limit.daemon = True
    try:
        connection.request("GET", path, headers=headers)
        limit.start()
        deadline = time.monotonic() + min(health.timeout, ANSWER_TIMEOUT)
        while not select.select([connection.sock], [], [], TICK)[0]:
            tick()
            if time.monotonic() > deadline:
                return ProbeResult(healthy=False, text=NO_ANSWER, path=path)
        response = connection.getresponse()
        first = response.read(4096).decode("utf-8", "replace").strip().partition("\n")[0]
    except (OSError, http.client.HTTPException) as error:
        return ProbeResult(healthy=False, text=f"none: {_reason(error)}", path=path)
    finally:
        limit.cancel()
        connection.close()
    if connection.is_cut:
        return ProbeResult(healthy=False, text=NO_ANSWER, path=path)
    leads = f", to {response.headers['Location']}" if response.headers["Location"] else ""
    text = f"{response.status} {response.reason}{leads}: {first}"[:300]
    return ProbeResult(200 <= response.status < 300, text, response.status, path)


def _reason(error: Exception) -> str:
    """The error in words, "Connection refused" without class and number where the system has some."""
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}".strip()

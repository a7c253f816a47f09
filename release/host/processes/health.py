"""A socket and a path in, an answer out; and the wait until the answer is good."""

import http.client
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from release.host.disk.manifest import Health

# One request's time limit: a first request may import half of the application.
ANSWER_TIMEOUT = 10.0
SLICE = 0.05
# So many different processes of one watcher are a crash loop: nobody has to wait for the deadline.
CRASH_LOOP = 3

STAY_UP = 1.0
"""How long a process that nobody can ask has to run to be taken for healthy, in seconds."""

NO_ANSWER = "none: the process does not accept on the socket it was given, or thinks for too long"

Address = Path | tuple[str, int]
"""A unix socket, or host and port."""


@dataclass(frozen=True)
class Answer:
    """What a probe got: `text` is for people, such as "500: no database"; `status` None is no answer."""

    healthy: bool
    text: str
    status: int | None = None


class UnhealthyError(Exception):
    """The release did not become healthy; the text says why, with the last answer."""


class _Connection(http.client.HTTPConnection):
    """HTTP over whatever `address` is."""

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
    """Ask once; 2xx is healthy. `tick` runs every SLICE while the answer is awaited, and may raise."""
    connection = _Connection(address, health.host)
    # A proxy in front ends TLS: without the header, applications that insist on https answer a redirect.
    headers = {"User-Agent": "packhorse-probe", "X-Forwarded-Proto": "https", "Connection": "close"}
    try:
        connection.request("GET", health.path, headers=headers)
        deadline = time.monotonic() + min(health.timeout, ANSWER_TIMEOUT)
        while not select.select([connection.sock], [], [], SLICE)[0]:
            tick()
            if time.monotonic() > deadline:
                return Answer(healthy=False, text=NO_ANSWER)
        response = connection.getresponse()
        first = response.read(4096).decode("utf-8", "replace").strip().partition("\n")[0]
    except (OSError, http.client.HTTPException) as error:
        return Answer(healthy=False, text=f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    text = f"{response.status} {response.reason}: {first[:200]}"
    return Answer(200 <= response.status < 300, text, response.status)


def stay_up(pids: Callable[[], list[list[int]]], pause: Callable[[float], None]) -> None:
    """Watch processes that nobody can ask, a list for each watcher, for STAY_UP seconds.

    Raises UnhealthyError as soon as one is gone.
    """
    deadline = time.monotonic() + STAY_UP
    first = pids()
    while time.monotonic() < deadline:
        now = pids()
        if now != first or not all(now):
            raise UnhealthyError("its process ended at once")
        pause(SLICE)


def wait(
    address: Address,
    health: Health,
    pids: Callable[[], list[int]],
    pause: Callable[[float], None],
) -> Answer:
    """Probe until healthy. `pids` says which processes there are now, `pause` waits and may raise.

    Raises UnhealthyError at the deadline, or as soon as the processes are seen to come and go.
    """
    deadline = time.monotonic() + health.timeout
    seen: set[int] = set()
    last = NO_ANSWER

    def watch() -> None:
        seen.update(pids())
        pause(0)
        if time.monotonic() > deadline:
            raise UnhealthyError(f"not healthy within {health.timeout:g} s")
        if len(seen) >= CRASH_LOOP:
            raise UnhealthyError(f"its process keeps ending ({len(seen)} so far)")

    def watch_without_answer() -> None:
        nonlocal last
        last = NO_ANSWER
        watch()

    try:
        while True:
            answer = probe(address, health, watch_without_answer)
            if answer.healthy:
                return answer
            last = answer.text
            watch()
            pause(health.interval)
    except UnhealthyError as reason:
        raise UnhealthyError(f"{reason}; the answer to GET {health.path} was {last}") from None

"""A client that sends requests at a steady rate and counts the failed ones."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.support.hosts import Host


class Load:
    """Ask `http://address:port/path` as `host`, a new connection each time, while the block runs.

    One at a time, `rate` a second: after a slow one it catches up. A request fails when it is refused,
    broken, not answered within 30 s, or answered with a status that is not in `good`. With `tls`, which must
    trust the certificate, it is https. `slowest` is in seconds.
    """

    def __init__(
        self,
        port: int,
        path: str = "/",
        *,
        address: str = "127.0.0.1",
        host: str = "localhost",
        rate: float = 220,
        good: Collection[int] = (200,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.good = good
        self.tls = tls
        self.statuses: set[int] = set()
        self.path = path
        self.address = address
        self.host = host
        self.rate = rate
        self.sent = 0
        self.failed = 0
        self.slowest = 0.0
        self.seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            started = time.monotonic()
            self.failed += not self._answered()
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.sent += 1
            self.seconds = time.monotonic() - began
            time.sleep(
                max(0.001, self.sent / self.rate - self.seconds)
            )  # a loop without a pause starves others

    def _answered(self) -> bool:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        try:
            if self.tls:
                connection.connect()
                connection.sock = self.tls.wrap_socket(connection.sock, server_hostname=self.host)
            connection.request("GET", self.path, headers={"Host": self.host})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        else:
            self.statuses.add(response.status)
            return response.status in self.good
        finally:
            connection.close()


# Runs on a host: requests for argv[3] through the socket at argv[1], argv[2] a second, until stdin closes.
_ON_HOST = """
import http.client, json, select, socket, sys, time
sent, failed, slowest, began = 0, 0, 0.0, time.monotonic()
print("ready", flush=True)
while not select.select([0], [], [], max(0, sent / float(sys.argv[2]) - (time.monotonic() - began)))[0]:
    started = time.monotonic()
    connection = http.client.HTTPConnection("localhost", timeout=30)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(sys.argv[1])
        connection.request("GET", sys.argv[3])
        answer = connection.getresponse()
        answer.read()
        failed += answer.status != 200
    except (OSError, http.client.HTTPException):
        failed += 1
    connection.close()
    slowest, sent = max(slowest, time.monotonic() - started), sent + 1
print(json.dumps([sent, failed, slowest]))
"""


@dataclass
class Sum:
    """Requests to all hosts together; known after the block. `slowest` is in seconds."""

    sent: int = 0
    failed: int = 0
    slowest: float = 0.0


@contextlib.contextmanager
def over_ssh(hosts: Sequence["Host"], path: str, rate: float, page: str = "/") -> Iterator[Sum]:
    """Ask the socket `path` of all `hosts` for `page`, `rate` times a second together, in the block."""
    whole = Sum()
    command = ("python3", "-c", _ON_HOST, path, str(rate / len(hosts)), page)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(host.program(*command)) for host in hosts]
        for client in clients:
            assert client.stdout
            assert client.stdout.readline() == "ready\n"
        yield whole
        for client in clients:
            sent, failed, slowest = json.loads(client.communicate("\n")[0])
            whole.sent, whole.failed = whole.sent + sent, whole.failed + failed
            whole.slowest = max(whole.slowest, slowest)

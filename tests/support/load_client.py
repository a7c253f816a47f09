"""A client that sends requests at a steady rate and counts the failed ones."""

import http.client
import threading
import time
from types import TracebackType
from typing import Self


class Load:
    """Ask `http://address:port/path` as `host`, a new connection each time, while the block runs.

    One at a time, `rate` a second: after a slow one it catches up. A request fails when it is refused,
    broken, not answered within 30 s, or answered with another status than 200. `slowest` is in seconds.
    """

    def __init__(
        self,
        port: int,
        path: str = "/",
        *,
        address: str = "127.0.0.1",
        host: str = "localhost",
        rate: float = 220,
    ) -> None:
        self.port = port
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
            connection.request("GET", self.path, headers={"Host": self.host})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        else:
            return response.status == 200
        finally:
            connection.close()

"""A client that sends requests without pause and counts what went wrong."""

import http.client
import threading
import time
from types import TracebackType
from typing import Self


class Load:
    """Ask `http://127.0.0.1:port/path` again and again, a new connection each time, while the block runs.

    A request fails when it is refused, broken, not answered within 30 s, or answered with another
    status than 200. `slowest` is in seconds.
    """

    def __init__(self, port: int, path: str = "/") -> None:
        self.port = port
        self.path = path
        self.sent = 0
        self.failed = 0
        self.slowest = 0.0
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
        while not self._stop.is_set():
            started = time.monotonic()
            self.failed += not self._answered()
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.sent += 1
            time.sleep(0.005)  # the client must not take the processor from what it watches

    def _answered(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", self.path)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        else:
            return response.status == 200
        finally:
            connection.close()

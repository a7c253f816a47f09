"""The agent's stdin: the request, then the controller's orders; its end means that nobody waits any more."""

import json
import os
import select
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Channel:
    """Lines of the controller, read by a thread of its own from `descriptor`.

    Orders are `{"go": GATE, …}` and `{"revert": REASON}`; others go to `receive`; an empty line says only
    that somebody is there. The end of the stream, or `silence` seconds without a byte (a cut cable says
    nothing), count as gone.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.silence: float | None = None
        self.stop = threading.Event()
        """Set when the work has to stop."""
        self.reason = "nobody waits for it any more."
        self.receive: Callable[[Mapping[str, Any]], object] = lambda _: None
        """Gets orders of other kinds, in the thread that reads."""
        self._request: dict[str, Any] | None = None
        self._orders: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def waiting(self) -> bool:
        """Whether the request is still to come."""
        return self._request is None and not self.stop.is_set()

    def request(self) -> dict[str, Any] | None:
        """The first line; None when stdin closed first: the controller has nothing to ask."""
        with self._changed:
            self._changed.wait_for(lambda: self._request is not None or self.stop.is_set())
            return self._request

    def order(self, gate: str) -> dict[str, Any] | None:
        """Wait for the order that opens `gate`; None when it stays closed."""
        with self._changed:
            self._changed.wait_for(lambda: gate in self._orders or self.stop.is_set())
            return self._orders.get(gate)

    def _read(self) -> None:
        rest = b""
        while chunk := self._chunk():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    self._take(json.loads(line))
        self._end()

    def _chunk(self) -> bytes:
        # Woken up often enough to learn of `silence`, which comes with the request.
        waited = 0.0
        while not select.select([self.descriptor], [], [], 1)[0]:
            waited += 1
            if self.silence is not None and waited >= self.silence:
                return b""
        return os.read(self.descriptor, 65536)

    def _take(self, line: dict[str, Any]) -> None:
        with self._changed:
            if self._request is None:
                self._request = line
                self.silence = line.get("silence")
            elif "go" in line:
                self._orders[line["go"]] = line
            elif "revert" in line:
                self.reason = line["revert"]
                self.stop.set()
            else:
                self.receive(line)
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self.stop.set()
            self._changed.notify_all()

"""Print the lines of all processes to one place, each with its time and the name of its process.

honcho's printer writes them, in the form and the colours that its users know. Its manager does not fit: it
never kills a lone process that ignores TERM, takes no second Ctrl-C, waits for daemons that keep the pipe,
holds output without bound, and can neither restart a process nor hand it a socket.
"""

import datetime as dt
import os
import threading
from collections.abc import Iterable, Mapping, Sequence

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from packhorse import console

SYSTEM = "release"
"""The name of our own lines."""


class _Descriptor:
    """A file for honcho's printer that writes when a whole batch is there, past Python's own buffers.

    A thread that hangs in one of those, as the reader has stopped, could not be left behind at the end.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.batch: list[str] = []

    def write(self, text: str) -> None:
        self.batch.append(text)

    def flush(self) -> None:
        """Do nothing: the printer asks for it after every line."""

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def send(self) -> None:
        """Write the batch."""
        data = memoryview("".join(self.batch).encode())
        self.batch.clear()
        while data:
            data = data[os.write(self.descriptor, data) :]


class ProcessOutput:
    """The lines of the processes `names`, on `descriptor`; several threads write."""

    def __init__(self, names: Sequence[str], descriptor: int, environment: Mapping[str, str]) -> None:
        self.file = _Descriptor(descriptor)
        self.lock = threading.Lock()
        self.colours = dict(zip(names, get_colours(), strict=False))
        colour = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self.printer = Printer(self.file, width=max(map(len, [SYSTEM, *names])), colour=colour)

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Print `lines` of the process `name`, harmless for a terminal. Raises OSError: nobody reads."""
        now = dt.datetime.now()  # noqa: DTZ005  # what the clock on the wall shows
        with self.lock:
            for line in lines:
                text = f"{console.printable(line)}\n"  # without a newline, an empty line is left out
                self.printer.write(Message("line", text, now, name, self.colours.get(name)))
            self.file.send()

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self.write(SYSTEM, text.split("\n"))

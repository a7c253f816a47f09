"""Start `release run` as a person or a script does: with a pseudo-terminal, or with pipes."""

import contextlib
import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import BIN
from tests.support.terminals import open_terminal, read_until


@dataclass
class Typed:
    """A `release run` on a terminal of ours."""

    controller: int
    process: "subprocess.Popen[bytes]"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.controller, keys.encode())

    def until(self, text: str) -> str:
        """What is shown, up to the first piece that has `text`."""
        return read_until(self.controller, text)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        resize(self.controller, rows, columns)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


@dataclass(frozen=True)
class Runner:
    """Runs `release run TARGET` in the folder `project`; `alive`: whether such a command runs there."""

    target: str
    project: Path
    environment: Mapping[str, str]
    alive: Callable[[str], bool] = field(repr=False)

    def arguments(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        """The argument list for `command`."""
        return [str(BIN / "release"), "run", self.target, *options, "--", *command]

    def __call__(
        self, *command: str, stdin: bytes = b"", options: tuple[str, ...] = (), status: int | None = 0
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run `command` to its end, with pipes."""
        done = subprocess.run(
            self.arguments(*command, options=options),
            input=stdin,
            capture_output=True,
            env=dict(self.environment),
            cwd=self.project,
            timeout=60,
            check=False,
        )
        assert status is None or done.returncode == status, done.stderr.decode(errors="replace")
        return done

    @contextlib.contextmanager
    def piped(self, *command: str, options: tuple[str, ...] = ()) -> "Iterator[subprocess.Popen[bytes]]":
        """`command` in the background, with pipes that are open."""
        with subprocess.Popen(
            self.arguments(*command, options=options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self.environment),
            cwd=self.project,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def typed(self, *command: str, options: tuple[str, ...] = ()) -> Iterator[Typed]:
        """`command` on a terminal of 24 rows and 80 columns."""
        with open_terminal() as (controller, terminal):
            resize(controller, 24, 80)

            def own() -> None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

            with subprocess.Popen(
                self.arguments(*command, options=options),
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env={**self.environment, "TERM": "xterm-256color"},
                cwd=self.project,
                start_new_session=True,
                preexec_fn=own,  # noqa: PLW1509  # tests have no threads at that moment
            ) as process:
                try:
                    yield Typed(controller, process)
                finally:
                    process.kill()

"""One command being carried out: what it says on the way, and where it may be stopped."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from packhorse.process import Finished

POLL = 0.05


class StoppedError(PackhorseError):
    """Somebody asked to stop, and the work was at a point where it could."""

    exit_code = 130


class Session:
    """Tells the other end what happens; `stop` is set when nobody wants the rest any more."""

    def __init__(self, emit: Callable[[dict[str, Any]], None], stop: threading.Event) -> None:
        self.emit = emit
        self.stop = stop

    def step(self, name: str, text: str) -> None:
        """Say that the step `name` begins."""
        self.emit({"event": "step", "name": name, "text": text})

    def safe_point(self) -> None:
        """Raise StoppedError if somebody asked for it: nothing that matters is half done here."""
        if self.stop.is_set():
            raise StoppedError(
                "Stopped before the switch.", "What ran before runs on; run the command again."
            )

    def pause(self, seconds: float) -> None:
        """Wait, and wake up at once to stop."""
        self.stop.wait(seconds)
        self.safe_point()

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `command` to its end like packhorse.process.run; ended early, with its children, by a stop."""
        with subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        stdout, stderr = process.communicate(timeout=POLL)
                        return Finished(process.returncode, stdout, stderr)
                    self.safe_point()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise

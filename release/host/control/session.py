"""Session of one command: its events, and the points at which it may be stopped."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from packhorse.errors import PackhorseError
from packhorse.process import Finished

POLL = 0.05
STOP_AT = "PACKHORSE_TEST_STOP_AT"
"""Variable with the name of a step before which the agent stops as if by SIGSTOP: tests try every one."""


class StoppedError(PackhorseError):
    """The work was stopped on request, at a safe point."""

    exit_code = 130


class Controller(Protocol):
    """The other end of the connection: see channel.py."""

    @property
    def stop(self) -> threading.Event:
        """Set when the work has to stop."""

    @property
    def reason(self) -> str:
        """Reason of a stop."""

    def order(self, gate: str) -> Mapping[str, Any] | None:
        """Wait for the order that opens `gate`; None when it stays closed."""

    receive: Callable[[Mapping[str, Any]], object]
    """Gets orders that open no gate, as they come."""


class Session:
    """Tells the other end what happens, and waits for it at `gates`."""

    def __init__(
        self, emit: Callable[[dict[str, Any]], None], controller: Controller, gates: Collection[str] = ()
    ) -> None:
        self.emit = emit
        self.controller = controller
        self.gates = gates

    def step(self, name: str, text: str) -> None:
        """Say that the step `name` begins."""
        self.emit({"event": "step", "name": name, "text": text})
        self.checkpoint(name)

    def checkpoint(self, name: str) -> None:
        """Begin the step `name`, which is not worth a word."""
        if os.environ.get(STOP_AT) == name:
            del os.environ[STOP_AT]  # a gate and a step may have one name
            os.kill(os.getpid(), signal.SIGSTOP)

    def warn(self, text: str) -> None:
        """Say what went wrong without harm to the rest."""
        self.emit({"event": "warning", "text": text})

    def gate(self, name: str, **fields: object) -> Mapping[str, Any]:
        """Wait for the controller's order to go on, and return it; {} without a controller.

        Raises StoppedError when the gate stays closed.
        """
        self.checkpoint(name)
        if name not in self.gates:
            return {}
        self.emit({"event": "gate", "name": name, **fields})
        order = self.controller.order(name)
        if order is None:
            raise StoppedError(f"Stopped: {self.controller.reason}", _AGAIN)
        return order

    def safe_point(self) -> None:
        """Raise StoppedError if the work has to stop: nothing is half done here."""
        if self.controller.stop.is_set():
            raise StoppedError(f"Stopped before the switch: {self.controller.reason}", _AGAIN)

    def pause(self, seconds: float) -> None:
        """Wait, and wake up at once to stop."""
        self.controller.stop.wait(seconds)
        self.safe_point()

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `command` to its end like packhorse.process.run; a stop kills it and its children.

        The other end is told: no secret may be among the arguments.
        """
        self.emit({"event": "command", "command": list(command)})
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


_AGAIN = "What ran before runs on; run the command again."

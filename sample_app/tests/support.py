"""Servers and processes that several tests start; waiting for facts."""

import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

if TYPE_CHECKING:
    from email.message import EmailMessage

T = TypeVar("T")


def wait_until(what: str, ready: Callable[[], T], deadline: float = 30) -> T:
    """The first true answer of `ready`."""
    end = time.monotonic() + deadline
    while not (answer := ready()):
        assert time.monotonic() < end, f"waited {deadline} s for: {what}"
        time.sleep(0.05)
    return answer


class Postbox:
    """A real SMTP server's mails. While `opened` is unset, clients wait for its last answer to a mail."""

    url = ""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.sessions: list[Session] = []
        self.waiting = threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Called by aiosmtpd for each mail."""
        self.waiting.set()
        if not await asyncio.to_thread(self.opened.wait, 60):
            return "451 waited too long"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.sessions.append(session)
        return "250 OK"


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """Connect to the port that the kernel chose."""
        assert self.server
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp_server(**options: object) -> Iterator[Postbox]:
    """A mail server on a port of loopback."""
    box = Postbox()
    controller = _Controller(box, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        box.url = f"smtp://127.0.0.1:{controller.port}"
        yield box
    finally:
        box.opened.set()
        controller.stop()


def needs(command: str) -> pytest.MarkDecorator:
    """Leave a test out where a server that it starts is not installed."""
    return pytest.mark.skipif(find(command) is None, reason=f"{command} is not installed")


def find(command: str) -> str | None:
    """The path of a server, which may be in a folder that is not on the PATH."""
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(command, path=":".join([os.environ["PATH"], "/usr/sbin", *versions]))


def program(folder: Path, *arguments: str, **env: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """A module's process, with the environment of the application; see `started`."""
    command = (sys.executable, "-m", *arguments)
    return started(folder, *command, log=arguments[0], env=environment(folder, **env))


@contextmanager
def started(
    folder: Path, *command: str, log: str = "", env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with its output in `folder`; killed at the end if it still runs."""
    program = find(command[0]) or command[0]
    with (folder / f"{log or command[0]}.log").open("ab") as output:
        process = subprocess.Popen([program, *command[1:]], env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """The environment of an application whose data is in `folder`."""
    return {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), "ENVIRONMENT": "development", **more}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port on loopback that was free a moment ago, and is not given to outgoing connections."""
    while True:
        port = random.randrange(10_240, 32_768)  # noqa: S311  # no secret
        with suppress(OSError), socket.socket(type=kind) as server:
            server.bind(("127.0.0.1", port))
            return port

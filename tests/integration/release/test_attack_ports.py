"""Other users of the machine who take the port of an application that opens one itself ($PORT)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from release.host.runtime import forward
from tests.support.servers import short_home, wait_until

OTHER_USER = 65534
pytestmark = pytest.mark.needs_root  # to start processes of another user

# An application: it answers with its name, and does what it is told.
APP = """\
import os, socket, sys, time
where, mode = os.environ["PORT"], sys.argv[1]
family = socket.AF_INET6 if mode == "::" else socket.AF_INET
host = {"::": "::", "0.0.0.0": "0.0.0.0"}.get(mode, "127.0.0.1")
print("port", where, flush=True)
if mode == "late":
    while not os.path.exists("go"):
        time.sleep(0.01)
def serve():
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if mode == "workers":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, int(where)))
        listener.listen()
        while True:
            client, _ = listener.accept()
            with client:
                order = client.recv(100)
                if order == b"close":
                    return
                if order == b"end":
                    os._exit(7)
                client.sendall(b"application")
if mode == "workers":
    os.fork()
serve()
print("closed", flush=True)
time.sleep(1000)
"""
SQUATTER = """\
import socket, sys
listener = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
if ":" in sys.argv[1]:
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print("squats", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b"squatter")
    print("got", client.recv(100), flush=True)
"""


AS_DESCRIPTOR_3 = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Running:
    """forward.py with an application, and the socket of its release."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder, self.process = folder, process

    def lines(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    def port(self) -> int:
        wait_until("the port", lambda: any(line.startswith("port ") for line in self.lines()))
        return int(next(line for line in self.lines() if line.startswith("port ")).split()[1])

    def ask(self, request: bytes = b"hello", seconds: float = 10) -> bytes:
        """What a client gets; b"" when the connection is closed."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(seconds)
            client.connect(str(self.folder / "web.a.sock"))
            try:
                client.sendall(request)
                return client.recv(100)
            except (BrokenPipeError, ConnectionResetError):
                return b""


@contextlib.contextmanager
def running(mode: str, kind: str = forward.PORT) -> Iterator[Running]:
    with (
        short_home() as folder,
        socket.socket(socket.AF_UNIX) as listener,
        (folder / "log").open("wb") as log,
    ):
        listener.bind(str(folder / "web.a.sock"))
        listener.listen(100)
        program = [sys.executable, "-IS", forward.__file__, kind, sys.executable, "-c", APP, mode]
        given = listener.fileno()
        command = [sys.executable, "-IS", "-c", AS_DESCRIPTOR_3, str(given), *program]
        process = subprocess.Popen(command, pass_fds=[given], stdout=log, stderr=log, cwd=folder)
        try:
            started = psutil.Process(process.pid)
            yield Running(folder, process)
        finally:
            for child in started.children(recursive=True) if process.poll() is None else []:
                child.kill()
            process.kill()
            process.wait()


@contextlib.contextmanager
def squatting(host: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Another user of this machine listens there."""
    command = ["/usr/bin/python3", "-Ic", SQUATTER, host, str(port)]
    with subprocess.Popen(command, user=OTHER_USER, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == b"squats\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["127.0.0.1", "0.0.0.0", "::", "workers"])
def test_an_application_is_reached_however_it_listens(mode: str) -> None:
    """The check must not hurt an honest server: one address, all, IPv6 with IPv4, workers on one port."""
    with running(mode) as app:
        assert [app.ask() for _ in range(5)] == [b"application"] * 5


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_port_that_the_application_left_serves_nobody_else(host: str) -> None:
    """The process lives and its listener is gone: another user has the port within the same second."""
    with running("127.0.0.1") as app:
        assert app.ask() == b"application"
        assert app.ask(b"close") == b""
        wait_until("the port is free", lambda: "closed" in app.lines())
        assert app.ask() == b""
        with squatting(host, app.port()) as squatter:
            assert [app.ask(b"secret") for _ in range(3)] == [b""] * 3
            squatter.kill()
            assert squatter.stdout
            assert squatter.stdout.read() == b"", "nothing of a request reached the other user"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_port_that_is_taken_before_the_application_listens_is_given_up(host: str) -> None:
    """circus starts it again, on another port; until then clients wait, and nobody else answers."""
    with running("late") as app:
        with squatting(host, app.port()):
            assert app.process.wait(60) == 128 + signal.SIGTERM
        assert f"taken by user {OTHER_USER}" in app.lines()[-1]
        with contextlib.suppress(TimeoutError):
            assert app.ask(seconds=0.2) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_nobody_can_listen_beside_a_live_application(host: str) -> None:
    """Also not with SO_REUSEPORT, which the application has set too: the kernel compares users."""
    with running("workers") as app:
        assert app.ask() == b"application"
        with pytest.raises(AssertionError), squatting(host, app.port()):
            pass
        assert app.ask() == b"application"


def test_the_end_of_the_application_is_the_end_of_its_forwarder() -> None:
    """With its status: circus starts both again, and clients wait at the release's socket meanwhile."""
    with running("127.0.0.1") as app:
        assert app.ask(b"end") == b""
        assert app.process.wait(60) == 7


def test_an_application_does_not_outlive_its_forwarder() -> None:
    """Killed or out of memory: an orphan would hold files and a database with nobody to stop it."""
    with running("127.0.0.1") as app:
        assert app.ask() == b"application"
        (child,) = psutil.Process(app.process.pid).children()
        app.process.kill()
        wait_until("its end", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_kernel_names_the_user_of_a_listener() -> None:
    """On ports that nobody has, there is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = forward.Port(listener.getsockname()[1])
        found = port.listener()
        assert found == (os.geteuid(), os.fstat(listener.fileno()).st_ino)
    with port.kernel:
        assert port.listener() is None

"""Forward connections: of the public port to the release that serves, or of a release to the port it opened.

    forward.py LINK FD                   circus starts it beside circus.ini
    forward.py port|listener COMMAND…    launch.py becomes it, with the socket of the release as descriptor 3

The second starts COMMAND with a free port as $PORT, or with a listener on it as descriptor 3, and forwards
only to a listener of its own user: whoever else takes the port of a crashed application gets no request.
It imports the standard library only: copies of this file run without the agent.
"""

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below those of outgoing connections (ip_local_port_range)
BACKLOG = 2048
PORT, LISTENER = "port", "listener"
EARLIER_PORT = "port-"
"""Prefix of the link to a release that an earlier version installed: it listens on a port of its own."""
GIVEN = 3  # sd_listen_fds(3): where an inherited listener is
POLL = 0.02
SLOW_START = 5.0
"""Seconds after which the log says that the application does not listen yet."""
LAST_BYTES = 10.0
"""Seconds for clients to read the rest of an answer when the application has ended."""

Connect = Callable[[], Awaitable[socket.socket]]


class End(asyncio.Protocol):
    """One end of a forwarded connection: writes all that arrives to its peer."""

    transport: asyncio.Transport
    peer: "End | None" = None
    at_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for mypy: of a stream
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.at_eof = True
        if self.peer is None or self.peer.at_eof:
            return False  # closes this end, and so the other
        self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.peer:
            self.peer.transport.abort() if error else self.peer.transport.close()


class Client(End):
    """The end of a client. It is read from when the other end is connected."""

    def __init__(self, forwarder: "Forwarder") -> None:
        self.forwarder = forwarder
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        loop.call_soon(self.transport.pause_reading)  # now would be too early for Python 3.11.2 (Debian 12)
        self.forwarder.open.add(self.closed)
        task = loop.create_task(self.join())
        self.forwarder.joining.add(task)
        task.add_done_callback(self.forwarder.joining.discard)

    async def join(self) -> None:
        """Connect the other end; without one, close the connection."""
        try:
            connected = await self.forwarder.connect()
        except OSError:
            self.transport.close()
            return
        self.peer = far = End()
        far.peer = self
        await asyncio.get_running_loop().create_connection(lambda: far, sock=connected)
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.forwarder.open.discard(self.closed)
        self.closed.set_result(None)


class Forwarder:
    """Accepts connections on a listener, and joins each with the one that `connect` makes."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.open: set[asyncio.Future[None]] = set()
        self.joining: set[asyncio.Task[None]] = set()
        self.server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Client(self), sock=listener, backlog=BACKLOG)

    async def stop(self) -> None:
        """Accept no more connections, and wait until those that were accepted have their other end."""
        if self.server:
            self.server.close()
        if self.joining:
            await asyncio.wait(self.joining, timeout=1)

    async def drain(self, seconds: float | None) -> None:
        """Wait until all connections have ended, for so long at most."""
        if self.open:
            await asyncio.wait(self.open, timeout=seconds)


async def forward_public(listener: socket.socket, link: str) -> None:
    """Forward to where `link` leads, until SIGTERM; then wait until all connections have ended."""

    async def connect() -> socket.socket:
        target = Path(link).readlink().name  # noqa: ASYNC240  # of a file system in memory
        if target.startswith(EARLIER_PORT):
            return await connected(socket.AF_INET, (HOST, int(target.removeprefix(EARLIER_PORT))))
        # The kernel follows the link: there is no moment in between.
        return await connected(socket.AF_UNIX, link)

    forwarder = Forwarder(connect)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await forwarder.start(listener)
    await stop.wait()
    await forwarder.stop()
    await forwarder.drain(None)


async def connected(family: socket.AddressFamily, address: "str | tuple[str, int]") -> socket.socket:
    """A socket that is connected to `address`. Raises OSError."""
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


class Listener(NamedTuple):
    """A listening socket: the user that made it, and its inode, which no other open socket has."""

    user: int
    inode: int


class Port:
    """A port of this machine, and the kernel's word on who listens there (sock_diag(7))."""

    _DIAG, _BY_FAMILY, _ERROR, _ANY = 4, 20, 2, 0xFFFFFFFF
    _HEADER = struct.Struct("=IHHII")  # netlink(7): length, type, flags, sequence, port

    def __init__(self, number: int) -> None:
        self.number = number
        self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._DIAG)
        where = struct.pack("!HH", number, 0) + socket.inet_aton(HOST).ljust(16, b"\0") + bytes(16)
        query = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, self._ANY)
        body = query + where + struct.pack("=III", 0, self._ANY, self._ANY)  # any interface, no cookie
        self.question = self._HEADER.pack(self._HEADER.size + len(body), self._BY_FAMILY, 1, 1, 0) + body

    def listener(self) -> Listener | None:
        """The socket that would get a connection now, of IPv6 or all addresses too. Raises OSError."""
        self.kernel.send(self.question)
        answer = self.kernel.recv(4096)
        if self._HEADER.unpack_from(answer)[1] == self._ERROR:
            number = -struct.unpack_from("=i", answer, self._HEADER.size)[0]
            if number in {0, 2}:  # ENOENT: nobody listens
                return None
            raise OSError(number, os.strerror(number))
        return Listener(*struct.unpack_from("=II", answer, self._HEADER.size + 64))

    async def connect(self) -> socket.socket:
        """Connect to our own user's listener. Raises OSError when there is none.

        One that is there before and after has been there all the time, and nobody else can have had the
        port: sockets of several users never share one (SO_REUSEPORT, socket(7)).
        """
        for _ in range(3):  # workers that share the port may come and go
            before = self.listener()
            if before is None:
                raise ConnectionRefusedError
            if before.user != os.geteuid():
                raise PermissionError(f"port {self.number} belongs to user {before.user}")
            made = await connected(socket.AF_INET, (HOST, self.number))
            if self.listener() == before:
                return made
            made.close()
        raise ConnectionAbortedError


def free_port() -> socket.socket:
    """A listener on a free port. Raises OSError when there is none."""
    for port in random.sample(PORTS, 200):
        with contextlib.suppress(OSError):
            return socket.create_server((HOST, port), backlog=BACKLOG)
    raise OSError(f"There is no free port from {PORTS.start} to {PORTS.stop}: look at what listens (ss -lt).")


def start(kind: str, command: list[str], reserved: socket.socket) -> int:
    """Start the application in a process of its own, and return that: with $PORT, or with the listener."""
    port = reserved.getsockname()[1]
    if kind == PORT:
        reserved.close()
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: it ends also when we are killed
    os.environ["PORT"] = str(port)
    if kind == LISTENER:
        os.dup2(reserved.detach(), GIVEN)
        os.set_inheritable(GIVEN, True)  # noqa: FBT003  # its only argument
        os.environ |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_PID": str(os.getpid())}
    try:
        os.execvp(command[0], command)  # noqa: S606  # a program of the Procfile
    except OSError as error:
        say(f"There is no program {command[0]} in the release, and none on this host: {error.strerror}")
    os._exit(127)


async def serve_application(child: int, port: Port, listener: socket.socket) -> int:
    """Forward to the application until it ends, perhaps by a signal to us; return its exit status."""
    loop = asyncio.get_running_loop()
    forwarder = Forwarder(port.connect)
    ended: asyncio.Future[int] = loop.create_future()

    def look() -> None:
        pid, status = os.waitpid(child, os.WNOHANG) if not ended.done() else (0, 0)
        if pid:
            ended.set_result(os.waitstatus_to_exitcode(status))

    async def stop() -> None:
        await forwarder.stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    tasks: set[asyncio.Task[None]] = set()

    def terminate() -> None:
        tasks.add(loop.create_task(stop()))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, terminate)
    loop.add_signal_handler(signal.SIGCHLD, look)
    look()
    if await listens(port, ended) and not tasks:
        await forwarder.start(listener)
    elif not ended.done() and not tasks:
        await stop()
    status = await ended
    await forwarder.stop()
    await forwarder.drain(LAST_BYTES)
    return status if status >= 0 else 128 - status


def say(text: str) -> None:
    """Write a line into the log of the release."""
    print(text, flush=True)  # noqa: T201


async def listens(port: Port, ended: "asyncio.Future[int]") -> bool:
    """Wait until the application listens; False when it has ended, or another user has its port."""
    begun, noted = time.monotonic(), False
    while not ended.done():
        found = port.listener()
        if found:
            if found.user != os.geteuid():
                say(f"Port {port.number} was taken by user {found.user}: starting again on another.")
            return found.user == os.geteuid()
        if not noted and time.monotonic() - begun > SLOW_START:
            noted = True
            say(f"The application does not listen on port {port.number} of {HOST} yet.")
        await asyncio.wait([ended], timeout=POLL)
    return False


def main(kind: str, *arguments: str) -> int:
    """Forward until a signal or the end of the application; the exit status."""
    if kind not in {PORT, LISTENER}:
        asyncio.run(forward_public(socket.socket(fileno=os.dup(int(arguments[0]))), kind))
        return 0
    listener = socket.socket(fileno=os.dup(GIVEN))
    os.close(GIVEN)
    reserved = free_port()
    try:
        port = Port(reserved.getsockname()[1])
        told = port.listener()
    except OSError:
        told = None
    if told is None:  # no module tcp_diag, or a sandbox without AF_NETLINK
        say("This system does not say who listens on a port (sock_diag): none can be given to $PORT.")
        return 1
    child = start(kind, list(arguments), reserved)
    return asyncio.run(serve_application(child, port, listener))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

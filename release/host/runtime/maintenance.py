"""Answer HTTP requests with 503 and a page in maintenance mode, and pass those to open paths on.

    maintenance.py STATE LIVE SOCKET

STATE is the JSON file that says what to answer, read again when it changes; LIVE a link to the socket of the
release that serves; SOCKET the path to listen on. One request is taken from a connection, then it is closed:
a second one could be for a path that is not open. circus starts a copy of this file beside the application's
releases; it imports the standard library only.
"""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import socket
import sys
import urllib.parse
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

BACKLOG = 2048
LONGEST_HEAD = 32 * 1024  # what nginx passes on at most (large_client_header_buffers)
HEAD_TIMEOUT = 10.0
ANSWER_TIMEOUT = 30.0
"""Seconds for a client to read the answer, and to send on what nobody reads (nginx's lingering_time)."""
IDLE_TIMEOUT = 300.0
"""Seconds without a byte after which a request that was passed on is given up."""
BODY_TIMEOUT = 30.0
"""The same while a part of the request's body is still to come."""
STOP_GRACE = 1.0
"""Seconds for a client that is connected to begin its request when the program is to end."""
STOP_TIMEOUT = 50.0
MOST = 1000
"""Connections that wait for their head or their answer; with one more the oldest is closed."""
MOST_PASSED = 500
CHUNK = 64 * 1024
EARLIER_PORT = "port-"
"""Prefix of the link to a release that an earlier version installed: it listens on a port of its own."""

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Maintenance</title>
<style>
:root { color-scheme: light dark }
body { font: 1.2em/1.5 system-ui, sans-serif; max-width: 30em; margin: 20vh auto; padding: 0 1em }
</style>
<h1>Back in a moment</h1>
<p>We are working on this site. Please try again in a few minutes.</p>
</html>
"""
# pchar of RFC 3986, without ";", which some servers take for the beginning of parameters.
_PLAIN = re.compile(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
_MISREAD = re.compile(r"[\x00-\x20\x7f\\;%?#]|//|/\.\.?(?:/|$)")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z_-]+):[ \t]*([^\r\n\0]*)")
_END = re.compile(rb"\r?\n\r?\n")
_OF_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"http2-settings"}


class Head(NamedTuple):
    """The head of a request: `headers` are pairs of a name in lower case and a value."""

    method: bytes
    target: bytes
    minor: int
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: bytes) -> list[bytes]:
        """The values of all headers called `name`."""
        return [value.strip() for key, value in self.headers if key == name]

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when the head does not say it in a way that all servers read alike."""
        if self.values(b"transfer-encoding"):
            return None
        lengths = self.values(b"content-length") or [b"0"]
        return int(lengths[0]) if len(lengths) == 1 and re.fullmatch(rb"\d{1,15}", lengths[0]) else None

    @property
    def is_websocket(self) -> bool:
        """Whether it asks for a WebSocket (RFC 6455); other protocols, such as h2c, are not passed on."""
        tokens = {token.strip() for token in b",".join(self.values(b"connection")).lower().split(b",")}
        asked = [value.lower() for value in self.values(b"upgrade")]
        return self.method == b"GET" and self.minor == 1 and b"upgrade" in tokens and asked == [b"websocket"]


def parse(head: bytes) -> Head | None:
    """The `head` of a request up to its empty line; None for what a server might read in another way."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    headers = [_HEADER.fullmatch(line) for line in lines]
    if not request or not all(headers):
        return None
    pairs = [(found[1].lower(), found[2]) for found in headers if found]
    return Head(request[1], request[2], int(request[3]), pairs)


def is_open(target: bytes, allowed: Collection[str]) -> bool:
    """Whether the request target leads to one of the `allowed` paths, or below it, for every server.

    What servers and frameworks read differently is not open: dot segments, empty segments, slashes and signs
    that are encoded, absolute URLs.
    """
    path = target.partition(b"?")[0]
    if not _PLAIN.fullmatch(path) or b"%2f" in path.lower():
        return False
    try:
        text = urllib.parse.unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return not _MISREAD.search(text) and any(
        text == below or text.startswith(f"{below}/") for below in (path.rstrip("/") for path in allowed)
    )


def passed_on(head: Head) -> bytes:
    """The head as the application gets it: the last one of its connection.

    Without names that have an underscore, as behind nginx: gunicorn takes SCRIPT_NAME for a part of the path
    that the application does not see.
    """
    kept = [(name, value) for name, value in head.headers if name not in _OF_CONNECTION and b"_" not in name]
    last = [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    kept += last if head.is_websocket else [(b"connection", b"close")]
    lines = [b"%s: %s" % pair for pair in kept]
    return b"\r\n".join([b"%s %s HTTP/1.%d" % head[:3], *lines, b"", b""])


class State:
    """Answer that the file at `path` says; without a file no path is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: object = None
        self.read()

    def read(self) -> None:
        """Read the file again, if it is another one."""
        try:
            found = self.path.stat()
            seen = (found.st_ino, found.st_mtime_ns)
        except OSError:
            seen = (0, 0)
        if seen == self.seen:
            return
        self.seen = seen
        table: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            table = json.loads(self.path.read_bytes())
        self.allowed: list[str] = table.get("allow", [])
        retry_after = int(table.get("retry_after", 300))
        page = (table.get("page") or PAGE).encode()
        text = json.dumps({"error": "maintenance", "retry_after": retry_after}).encode() + b"\n"
        self.html = _answer("text/html; charset=utf-8", retry_after, page)
        self.json = _answer("application/json", retry_after, text)

    def answer(self, head: Head | None) -> bytes:
        """The answer to a request that is not passed on."""
        accepted = b",".join(head.values(b"accept")).lower() if head else b""
        whole = self.json if b"application/json" in accepted and b"text/html" not in accepted else self.html
        return whole[: whole.index(b"\r\n\r\n") + 4] if head and head.method == b"HEAD" else whole


def _answer(kind: str, retry_after: int, body: bytes) -> bytes:
    lines = ["HTTP/1.1 503 Service Unavailable", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"Retry-After: {retry_after}", "Cache-Control: no-store", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


NO_LENGTH = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Client(asyncio.Protocol):
    """A connection: its one request is answered, or passed on to the application."""

    transport: asyncio.Transport

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.data = bytearray()
        self.deadline = server.loop.time() + HEAD_TIMEOUT
        self.left = b""  # of an answer
        self.far: Far | None = None
        self.body = self.moved = 0  # bytes of the request's body that are still to come, and that have come
        self.began = self.deadline
        self.is_tunnel = False
        self.may_write = True
        self.answering = self.discarding = False
        self.ended: asyncio.Future[None] = server.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for mypy: of a stream
        self.transport = transport
        self.server.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.server.remove(self)
        self.ended.set_result(None)
        if self.far:
            self.far.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.far:
            self.pass_on(data)
        elif not self.answering:
            self.data += data
            end = _END.search(self.data, max(0, len(self.data) - len(data) - 3))
            if end:
                self.begin(bytes(self.data[: end.end()]), bytes(self.data[end.end() :]))
            elif len(self.data) > LONGEST_HEAD:
                self.answer(None, more=True)

    def begin(self, raw: bytes, rest: bytes) -> None:
        """Decide about the request with the head `raw`, after which `rest` has arrived."""
        state = self.server.state
        state.read()
        head = parse(raw)
        self.data = bytearray(rest)
        more = bool(rest) or head is None or head.length != 0
        if head is None or not is_open(head.target, state.allowed) or not self.server.has_room():
            self.answer(head, more=more)
        elif head.length is None:
            self.send(NO_LENGTH, more=True)
        else:
            self.answering = True  # nothing is read until the application is there
            self.transport.pause_reading()
            self.server.start(self.join(head))

    async def join(self, head: Head) -> None:
        """Connect to the application, and pass the request on; without one, answer it."""
        try:
            connected = await self.server.connect()
        except OSError:
            self.transport.resume_reading()
            self.answer(head, more=True)
            return
        far = Far(self)
        await self.server.loop.create_connection(lambda: far, sock=connected)
        if self.transport.is_closing():
            far.transport.abort()
            return
        self.server.passes(self)
        self.far, self.body, self.is_tunnel = far, head.length or 0, False
        self.began = self.server.loop.time()
        far.may_become_tunnel = head.is_websocket
        far.transport.write(passed_on(head))
        data, self.data = bytes(self.data), bytearray()
        self.pass_on(data)
        self.transport.resume_reading()

    def pass_on(self, data: bytes) -> None:
        """Pass on what belongs to the request; what follows it is not read by anybody."""
        assert self.far  # noqa: S101  # for mypy
        mine = data if self.is_tunnel else data[: self.body]
        self.body -= 0 if self.is_tunnel else len(mine)
        self.moved += len(mine)
        self.touch()
        if self.far.may_become_tunnel and len(mine) < len(data):
            self.data += data[len(mine) :]
            if len(self.data) > LONGEST_HEAD:
                self.transport.abort()
        if mine:
            self.far.transport.write(mine)

    def touch(self) -> None:
        """Note that something has moved."""
        self.deadline = self.server.loop.time() + (BODY_TIMEOUT if self.body else IDLE_TIMEOUT)

    def pace(self) -> float:
        """Bytes of the body that have come in a second, where each has a start of CHUNK."""
        return (self.moved + CHUNK) / (self.server.loop.time() - self.began + 1)

    def answer(self, head: Head | None, *, more: bool) -> None:
        """Answer with the page; `more` may come that nobody reads."""
        self.send(self.server.state.answer(head), more=more)

    def send(self, answer: bytes, *, more: bool) -> None:
        """Send `answer`, and close the connection."""
        self.answering, self.discarding = True, more
        self.data.clear()
        self.deadline = self.server.loop.time() + ANSWER_TIMEOUT
        self.left = answer
        self.write()

    def write(self) -> None:
        """Write what is left of the answer, as far as the client reads it."""
        while self.left and self.may_write:
            chunk, self.left = self.left[:CHUNK], self.left[CHUNK:]
            self.transport.write(chunk)
        if not self.left and not self.transport.is_closing():
            self.finish()

    def finish(self) -> None:
        """End the connection. Closed under a client that still sends, it would not see the answer."""
        if self.discarding:
            self.transport.write_eof()
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        self.may_write = False
        if self.far:
            self.far.transport.pause_reading()

    def resume_writing(self) -> None:
        self.may_write = True
        if self.far:
            self.far.transport.resume_reading()
        elif self.left:
            self.write()

    def eof_received(self) -> bool:
        if self.far:
            self.far.transport.write_eof()
            return True
        return self.answering and bool(self.left)


class Far(asyncio.Protocol):
    """The connection to the application for one client."""

    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        self.client = client
        self.may_become_tunnel = False
        self.first = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for mypy: of a stream
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        client = self.client
        client.touch()
        client.transport.write(data)
        if self.may_become_tunnel:
            self.first += data[:12]
            if len(self.first) >= 12:
                self.may_become_tunnel = False
                client.is_tunnel = bytes(self.first[:12]) == b"HTTP/1.1 101"
                waiting, client.data = bytes(client.data), bytearray()
                client.pass_on(waiting)

    def pause_writing(self) -> None:
        self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        self.client.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        client = self.client
        client.far = None
        client.answering = client.discarding = True
        if error:
            client.transport.abort()
        elif not client.transport.is_closing():
            client.deadline = client.server.loop.time() + ANSWER_TIMEOUT
            client.transport.resume_reading()
            client.transport.write_eof()


class Server:
    """Accepts connections at `path`, few enough for the memory and the descriptors that there are."""

    def __init__(self, state: State, live: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.state, self.live = state, live
        self.waiting: dict[Client, None] = {}  # in the order of their arrival
        self.passed: set[Client] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = hard if hard != resource.RLIM_INFINITY else max(soft, 4096)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.most = min(MOST, soft // 4)
        self.most_passed = min(MOST_PASSED, soft // 4)

    def add(self, client: Client) -> None:
        """Take a new connection; in the place of the oldest one that waits, if there are too many."""
        if len(self.waiting) >= self.most:
            next(iter(self.waiting)).transport.abort()
        self.waiting[client] = None

    def remove(self, client: Client) -> None:
        self.waiting.pop(client, None)
        self.passed.discard(client)

    def passes(self, client: Client) -> None:
        """Count a connection among those that were passed on."""
        self.waiting.pop(client, None)
        self.passed.add(client)

    def has_room(self) -> bool:
        """Whether one more request can be passed on, in the place of the slowest body if need be."""
        if len(self.passed) < self.most_passed:
            return True
        slow = [client for client in self.passed if client.body]
        if slow:
            slowest = min(slow, key=Client.pace)
            self.remove(slowest)
            slowest.transport.abort()
        return bool(slow)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` be done beside the rest."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self) -> socket.socket:
        """A connection to the release that serves. Raises OSError."""
        target = self.live.readlink()
        family, address = socket.AF_UNIX, str(target)  # type: tuple[socket.AddressFamily, str | tuple[str, int]]
        if target.name.startswith(EARLIER_PORT):
            family, address = socket.AF_INET, ("127.0.0.1", int(target.name.removeprefix(EARLIER_PORT)))
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.wait_for(self.loop.sock_connect(made, address), HEAD_TIMEOUT)
        except BaseException:
            made.close()
            raise
        return made

    async def watch(self) -> None:
        """Close the connections that take too long."""
        while True:
            await asyncio.sleep(1)
            now = self.loop.time()
            for client in [*self.waiting, *self.passed]:
                if client.deadline < now:
                    client.transport.abort()

    async def drain(self) -> None:
        """Wait until all requests have been answered, for STOP_TIMEOUT at most."""
        soon = self.loop.time() + STOP_GRACE
        for client in self.waiting:
            if not client.data and not client.answering:
                client.deadline = soon
        ended = [client.ended for client in [*self.waiting, *self.passed]]
        if ended:
            await asyncio.wait(ended, timeout=STOP_TIMEOUT)


def listen(path: Path) -> socket.socket:
    """Listen at `path`, in the place of whoever did before. Who may enter its folder may connect."""
    scratch = path.with_name(".m.sock")
    scratch.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(scratch))
    scratch.chmod(0o666)
    listener.listen(BACKLOG)
    scratch.replace(path)
    return listener


async def serve(state: Path, live: Path, path: Path) -> None:
    """Answer requests until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(State(state), live)
    listening = await loop.create_server(lambda: Client(server), sock=listen(path), backlog=BACKLOG)
    server.start(server.watch())
    await stop.wait()
    listening.close()
    await server.drain()


if __name__ == "__main__":
    os.dup2(1, 2)  # one stream, one log file
    asyncio.run(serve(*map(Path, sys.argv[1:])))

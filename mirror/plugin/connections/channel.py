"""A connection of waitress with limits: on large bodies, on slowness, and on the client it speaks for."""

import re
import socket
import threading
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, Task, WSGITask

from mirror.plugin.access import clients
from mirror.plugin.connections.admission import Admission
from mirror.plugin.connections.dispatcher import OTHERS, READS
from mirror.plugin.metrics import counters

# Larger bodies are taken from who may upload only: logins and settings are smaller.
SMALL = 64 * 1024
# Who moves less in a whole minute is cut off, whether in the head, in the body or in reading the answer.
PATIENCE, SLOWEST = 60.0, 1000.0  # seconds, bytes per second
# Read on after a refusal for so long: a client that still sends would see a broken connection and no answer.
LINGER = 30.0
# Requests that come at once, and empty lines before one (RFC 9112, 2.2, has one). waitress makes a parser for
# each, on the one thread that reads for everybody: 16,000 of 64 kB of empty lines.
MOST_AT_ONCE, MOST_EMPTY = 128, 16
_READ = re.compile(r".*/(\+simple/[^/]+/?|\+[ef]/.+|\+api)")
# A request with one of them was passed on by a proxy: it is of somebody else than its connection.
_PASSED_ON = frozenset(("X_REAL_IP", "X_FORWARDED_FOR", "X_FORWARDED_PROTO", "FORWARDED", "VIA"))


class Parser(HTTPRequestParser):
    """A request that may not send a large body before it `is_admitted`."""

    expect_continue: bool  # of waitress
    is_admitted = False
    expects_continue = False

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.needs_admission:  # waitress would ask for the body now; the admission does
            self.expects_continue |= self.expect_continue
            self.expect_continue = False
        return consumed

    @property
    def needs_admission(self) -> bool:
        size = max(self.content_length, self.body_bytes_received)  # a chunked body has no length
        return size > SMALL and self.headers_finished and not self.completed and not self.is_admitted


class _TooManyError(Exception):
    """More than MOST_AT_ONCE requests have come at once."""


class _Header(Task):
    """Headers of all answers, waitress's own errors included; each answer is counted."""

    began = 0.0

    def start(self) -> None:
        super().start()
        self.began = time.perf_counter()
        counters.start()

    def build_response_header(self) -> bytes:
        request = self.request
        method = getattr(request, "command", "")  # what waitress cannot read has none
        kind = counters.kind_of(method, getattr(request, "path", ""), request.headers.get("CONTENT_TYPE", ""))
        size = (self.content_length or 0) if self.has_body and method != "HEAD" else 0
        counters.answered(kind, self.status, time.perf_counter() - self.began, size)
        self.response_headers.append(("X-Content-Type-Options", "nosniff"))
        if self.has_body and all(name.lower() != "content-type" for name, _ in self.response_headers):
            self.response_headers.append(("Content-Type", "text/plain; charset=utf-8"))
        header: bytes = super().build_response_header()
        return header


class Request(_Header, WSGITask):
    """A request that devpi answers."""

    def get_environment(self) -> dict[str, Any]:
        channel = self.channel
        if not channel.is_local:
            for untrusted in ("X_OUTSIDE_URL", "X_REAL_IP"):
                self.request.headers.pop(untrusted, None)
        is_passed_on = not _PASSED_ON.isdisjoint(self.request.headers)
        environ: dict[str, Any] = super().get_environment()
        environ["packhorse.is_local"] = channel.is_local and not is_passed_on
        environ["packhorse.client"] = channel.client
        return environ


class Refusal(_Header, ErrorTask):
    """A request that waitress or an admission refuses; what it goes on sending is thrown away."""

    def execute(self) -> None:
        self.channel.lingers = True
        super().execute()


class Channel(HTTPChannel):
    """A connection. The main thread reads and writes; while it `is_busy`, a thread has it."""

    task_class = Request
    error_task_class = Refusal

    admission: Admission | None = None  # at work: nothing is read meanwhile
    lingers = False
    discards_until: float | None = None
    transfer_since: float | None = None
    moved = 0  # bytes since then
    owes_continue = False
    empty = 0  # empty lines since the last request

    def __init__(self, server: Any, sock: Any, addr: Any, *args: Any, **kwargs: Any) -> None:
        peer, here = (str(end[0]) for end in (addr, sock.getsockname()))
        self.is_local = clients.is_local(peer, here)
        self.peer = self.client = clients.client(peer)
        self.served_at = time.time()
        self.parsers: list[Parser] = []  # of the requests that come at once
        self.reader: int | None = None  # the thread that reads them
        super().__init__(server, sock, addr, *args, **kwargs)

    def parser_class(self, adj: Any) -> Parser:
        """The parser of a request that comes, or of an error's answer. Raises _TooManyError."""
        parser = Parser(adj)
        if threading.get_ident() == self.reader:
            if len(self.parsers) >= MOST_AT_ONCE:
                raise _TooManyError
            self.parsers.append(parser)
        return parser

    @property
    def lane(self) -> str:
        """Lane of the request that is next: pages and files, which come from the cache, or anything else."""
        request = self.requests[0]
        reads = not request.error and request.command in {"GET", "HEAD"} and _READ.fullmatch(request.path)
        return READS if reads else OTHERS

    @property
    def is_busy(self) -> bool:
        return bool(self.requests or self.admission)

    def readable(self) -> bool:
        # HTTPChannel's own condition, written out: the loop asks every connection each time it wakes up.
        is_taken = self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed
        return self.discards_until is not None or not (is_taken or self.admission)

    def received(self, data: bytes) -> bool:
        if self.discards_until is not None:
            return False
        self.moved += len(data)
        self.owes_continue = False  # who sends on does not wait for it (RFC 9110, 10.1.1)
        self.reader = threading.get_ident()
        try:
            taken: bool = super().received(data)
            is_empty = self.request is None and all(parser.empty for parser in self.parsers)
            self.empty = self.empty + len(self.parsers) if is_empty else 0
        except _TooManyError:
            self.empty = MOST_EMPTY + 1
        finally:
            self.parsers, self.reader = [], None
        if self.empty > MOST_EMPTY:
            self.drop()
            return False
        request = self.request
        if request is not None and request.needs_admission:
            self.name_client(request)
            self.admission = Admission(self, request)
            self.server.add_task(self.admission)
        return taken

    def send_continue(self) -> None:
        """Leave it to the thread that writes: what two threads send at once is sent twice."""
        self.request.expect_continue = self.request.completed = False  # as waitress does
        self.owes_continue = True

    def writable(self) -> bool:
        return bool(self.owes_continue or super().writable())

    def handle_write(self) -> None:
        if self.owes_continue:
            self.owes_continue = False
            with self.requests_lock:
                if self.request is not None and not (self.requests or self.sent_continue):
                    super().send_continue()
        super().handle_write()

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT001, FBT002 (waitress's signature)
        sent: int = super().send(data, do_close)
        self.moved += sent
        return sent

    def service(self) -> None:
        try:
            super().service()
        finally:
            self.served_at = time.time()

    def name_client(self, request: Any) -> None:
        """Learn from a request for whom a proxy speaks: nginx on this machine alone (serving/front.py)."""
        stated = self.is_local and request.headers.get("X_REAL_IP")
        self.client = clients.client(stated[:64]) if stated else self.peer

    def handle_close(self) -> None:
        """Close the connection; after a refusal only our side of it first."""
        if self.lingers and self.discards_until is None:
            self.discards_until = time.time() + LINGER
            self.will_close = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client has gone
                super().handle_close()
        else:
            super().handle_close()

    def check_progress(self, now: float) -> None:
        """Cut off a client that is too slow; called every few seconds."""
        if self.discards_until is not None:
            if now > self.discards_until:
                self.drop()
        elif not self.total_outbufs_len and (self.request is None or self.admission):
            self.transfer_since = None
        elif self.transfer_since is None or self.moved >= SLOWEST * (now - self.transfer_since):
            self.transfer_since, self.moved = now, 0
        elif now - self.transfer_since > PATIENCE:
            self.drop()

    def drop(self) -> None:
        """Close the connection at once. A thread that is at work on it finds out (HTTPChannel.write_soon)."""
        super().handle_close()

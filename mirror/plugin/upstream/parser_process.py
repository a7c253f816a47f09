"""Parse upstream pages in a process of their own, one at a time, within a time limit.

A page of thousands of files takes tens of milliseconds of pure Python, in which no thread of the server
would answer anybody. What it takes to read one that was made to take long is not the server's either.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

from mirror.plugin.simple import file_paths, parse
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.simple.parse import InvalidPageError, RawPage
from mirror.plugin.upstream import page_cache
from mirror.plugin.upstream.page_cache import CachedPage, PageInfo

LONGEST = 60  # seconds for one page; ten thousand files take 0.1


@dataclass(frozen=True)
class ParseRequest:
    """An answer to parse, from an upstream or from the primary of a replica, for a normalised project."""

    index: str  # "user/name"
    project: str
    body: RawPage
    about: PageInfo
    of_primary: bool = False


@dataclass(frozen=True)
class ParsedPage:
    """A parsed page: its bytes as page_cache.encode makes them, and the entries that devpi needs."""

    content: bytes
    entries: Sequence[ProjectFile]  # file_paths.to_write, if no page was there before


class ParserProcess:
    """The process: started with the server, and again when it was lost. Thread-safe."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._lock = threading.Lock()
        self._process = _Child(longest)

    def read(self, answer: ParseRequest) -> ParsedPage:
        """Raises InvalidPageError, also for a page that cannot be read in time or at all."""
        with self._lock:
            try:
                if self._process.has_ended():
                    self._process.end()
                    self._process = _Child(self._longest)
                result = self._process.ask(answer)
            except (EOFError, OSError) as error:
                self._process.end()
                raise InvalidPageError(
                    f"one that cannot be read ({type(error).__name__}: {error})"
                ) from error
        if isinstance(result, InvalidPageError):
            raise result
        return result

    def end(self) -> None:
        """End the process."""
        self._process.end()


class _Child:
    """Ends by itself when this process does, however that ends: nobody is at the other end then."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        ours, its = socket.socketpair()
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # a page may be more than the kernel holds
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", longest, 0))  # struct timeval
        self._channel = Connection(ours.detach())
        with its:
            command = [sys.executable, "-Ic", f"from {__name__} import main; main()"]
            # Not in the server's folder: that may be on a disk which is unmounted when the server has ended.
            self._child = subprocess.Popen(
                command, stdin=its.fileno(), stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
            )

    def ask(self, answer: ParseRequest) -> ParsedPage | InvalidPageError:
        try:
            self._channel.send(replace(answer, body=replace(answer.body, content=b"")))
            self._channel.send_bytes(answer.body.content)
            result: ParsedPage | InvalidPageError = self._channel.recv()
            return (
                replace(result, content=self._channel.recv_bytes())
                if isinstance(result, ParsedPage)
                else result
            )
        except BlockingIOError:
            raise TimeoutError(f"it takes more than {self._longest} s") from None

    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._channel.close()


def read(answer: ParseRequest) -> ParsedPage:
    """Do what ParserProcess.read does, in this process."""
    paths_of = file_paths.paths_at_primary if answer.of_primary else file_paths.paths_of
    result = parse.parse_page(answer.project, answer.body, partial(paths_of, answer.index))
    to_write = () if answer.of_primary else file_paths.to_write(result, ProjectDetail(answer.project))
    return ParsedPage(page_cache.encode(CachedPage(result, answer.about)), to_write)


def main() -> None:
    """Answer what the parent process asks, until it is gone."""
    with Connection(0) as channel, contextlib.suppress(EOFError, ConnectionError):
        while True:
            answer: ParseRequest = channel.recv()
            content = channel.recv_bytes()  # apart: pickled, it would be copied several times
            try:
                result = read(replace(answer, body=replace(answer.body, content=content)))
            except InvalidPageError as reason:
                channel.send(reason)
            else:
                channel.send(replace(result, content=b""))
                channel.send_bytes(result.content)

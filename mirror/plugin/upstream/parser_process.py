"""Parse upstream pages in processes of their own, with limits on time and memory.

A page of thousands of files takes tens of milliseconds of pure Python, in which no thread of the server
would answer anybody. Some pages are made to take long, or gigabytes. So each index has a process for pages
that are parsed quickly, and one after another processes for those that are not: these delay no others.
"""

import contextlib
import gc
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

from cachetools import LRUCache

from mirror.plugin import gzip_bytes
from mirror.plugin.simple import file_paths, file_rows, parse
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Summary
from mirror.plugin.simple.parse import InvalidPageError, PageTooLargeError, RawPage
from mirror.plugin.upstream import page_cache
from mirror.plugin.upstream.page_cache import CachedPage, PageInfo

QUICK = 0.3  # seconds of processor time for one page; ten thousand files take 0.1
QUICK_SIZE = 8_000_000  # bytes of such a page; ten thousand files have 6 MB
LONGEST = 10.0  # the same for a large page that takes longer; fifty thousand files take 0.5 to 2
LONG = 2.0  # the same for a small one: what an upstream may take is by what it sends, a second for each MB
PATIENCE = 120  # seconds until a process has answered, on a machine that is busy
MEMORY = 400_000_000  # bytes of data; a page of fifty thousand files takes 180 MB
# Bytes of a parsed page after which the process ends, to give its memory back. Ten thousand files have 9 MB;
# of them little memory stays, and all other pages would wait for the start of the next process.
LARGE = 20_000_000
# Seconds until a page that went beyond the limits is parsed again; doubled each time.
SHORTEST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
REMEMBERED = 1000  # pages of an index that took long


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
    summary: Summary
    entries: Sequence[ProjectFile]  # file_paths.to_write, if no page was there before


class _LimitError(Exception):
    """A page went beyond the limits of its process; the text says how."""


class ParserProcess:
    """The processes. One is started with the server, for the first index; others when needed. Thread-safe."""

    def __init__(self, quick: float = QUICK, longest: float = LONGEST, patience: int = PATIENCE) -> None:
        self._lock = threading.Lock()
        self._new_lane = partial(_Lanes, quick, longest, patience)
        self._spare: _Lanes | None = self._new_lane()
        self._lanes: dict[str, _Lanes] = {}

    def read(self, answer: ParseRequest) -> ParsedPage:
        """Raises InvalidPageError, also for a page that cannot be read within the limits."""
        with self._lock:
            if answer.index not in self._lanes:
                self._lanes[answer.index] = self._spare or self._new_lane()
                self._spare = None
            lanes = self._lanes[answer.index]
        return lanes.read(answer)

    def end(self) -> None:
        """End the processes."""
        for lanes in (self._spare, *self._lanes.values()):
            if lanes:
                lanes.end()


@dataclass
class _SlowPage:
    """A page that took long: when it may be parsed again, and what to wait after that."""

    until: float = 0.0
    pause: float = SHORTEST_PAUSE


class _Lanes:
    """The processes of one index."""

    def __init__(self, quick: float, longest: float, patience: int) -> None:
        self._seconds = quick
        self._longest = longest
        self._patience = patience
        self._quick, self._slow = threading.Lock(), threading.Lock()
        self._process = _Child(patience)
        self._slow_pages: LRUCache[str, _SlowPage] = LRUCache(REMEMBERED)
        self._slow_pages_lock = threading.Lock()

    def read(self, answer: ParseRequest) -> ParsedPage:
        with self._slow_pages_lock:
            is_slow = answer.project in self._slow_pages
        if not is_slow:
            with contextlib.suppress(_LimitError), self._quick:
                return self._read_quickly(answer)
        if not self._slow.acquire(timeout=self._patience):
            raise InvalidPageError("one that cannot be read now: other pages of the upstream take long")
        try:
            return self._read_slowly(answer)
        finally:
            self._slow.release()

    def _read_quickly(self, answer: ParseRequest) -> ParsedPage:
        if self._process.has_ended():
            self._process.end()
            self._process = _Child(self._patience)
        try:
            return self._process.ask(answer, self._seconds, QUICK_SIZE)
        except (_LimitError, PageTooLargeError) as error:
            self._note(answer.project, _SlowPage())
            raise _LimitError(str(error)) from error

    def _read_slowly(self, answer: ParseRequest) -> ParsedPage:
        with self._slow_pages_lock:
            page = self._slow_pages.get(answer.project) or _SlowPage()
        left = page.until - time.monotonic()
        if left > 0:
            raise InvalidPageError(f"one that cannot be read; it is tried again in {left:.0f} s")
        process = _Child(self._patience)
        try:
            return process.ask(
                answer, min(self._longest, LONG + len(answer.body.content) / 1e6), parse.LARGEST
            )
        except _LimitError as error:
            pause = min(2 * page.pause, LONGEST_PAUSE)
            self._note(answer.project, _SlowPage(time.monotonic() + page.pause, pause))
            raise InvalidPageError(f"one that cannot be read ({error})") from error
        finally:
            process.end()

    def _note(self, project: str, page: _SlowPage) -> None:
        with self._slow_pages_lock:
            self._slow_pages[project] = page

    def end(self) -> None:
        self._process.end()


class _Child:
    """Ends by itself when this process does, however that ends: nobody is at the other end then."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        ours, its = socket.socketpair()
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # a page may be more than the kernel holds
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", patience, 0))  # struct timeval
        self._channel = Connection(ours.detach())
        with its:
            command = [sys.executable, "-Ic", f"from {__name__} import main; main()"]
            # Not in the server's folder: that may be on a disk which is unmounted when the server has ended.
            self._child = subprocess.Popen(
                command, stdin=its.fileno(), stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
            )

    def ask(self, answer: ParseRequest, seconds: float, most: int) -> ParsedPage:
        """Raises InvalidPageError, PageTooLargeError for more than `most` bytes.

        Raises _LimitError when the page takes more than `seconds` or MEMORY.
        """
        try:
            self._channel.send((seconds, most, replace(answer, body=replace(answer.body, content=b""))))
            self._channel.send_bytes(answer.body.content)
            result: ParsedPage | InvalidPageError | _LimitError = self._channel.recv()
            content = self._channel.recv_bytes() if isinstance(result, ParsedPage) else b""
        except (EOFError, OSError) as error:
            self.end()
            if self._child.returncode == -signal.SIGPROF:
                raise _LimitError(f"it takes more than {seconds:.1f} s of processor time") from error
            if isinstance(error, BlockingIOError):
                raise _LimitError(f"it takes more than {self._patience} s") from error
            # Not every library survives it when it gets no memory.
            raise _LimitError(f"its process has ended, as without memory: {type(error).__name__}") from error
        if isinstance(result, _LimitError) or (content and gzip_bytes.size(content) > LARGE):
            self.end()  # gives its memory back
        if isinstance(result, ParsedPage):
            return replace(result, content=content)
        raise result

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
    if not answer.of_primary:
        result = replace(result, withheld=0)  # an upstream's word is not about policies of ours
    to_write = () if answer.of_primary else file_paths.to_write(result, ProjectDetail(answer.project))
    content = page_cache.encode(CachedPage(result, answer.about))
    return ParsedPage(content, file_rows.rows(result.files).summary, to_write)


def main() -> None:
    """Answer what the parent process asks, until it is gone."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    gc.disable()  # a page makes ten thousands of objects and no cycle
    with Connection(0) as channel, contextlib.suppress(EOFError, ConnectionError):
        while True:
            _answer(channel)


def _answer(channel: Connection) -> None:
    """Answer one request. A timer ends the process, wherever it is busy, when that takes too long."""
    seconds, most, answer = channel.recv()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        content = channel.recv_bytes()  # apart: pickled, it would be copied several times
        body = parse.unpacked(replace(answer.body, content=content), most)
        result = read(replace(answer, body=body))
    except InvalidPageError as reason:
        channel.send(reason)
    except MemoryError:
        channel.send(_LimitError(f"it takes more than {MEMORY // 1_000_000} MB of memory"))
    else:
        channel.send(replace(result, content=b""))
        channel.send_bytes(result.content)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)

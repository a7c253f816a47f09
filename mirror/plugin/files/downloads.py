"""Download files from upstreams: once for all clients that ask, readable meanwhile, verified by hash."""

import hashlib
import os
import secrets
import sys
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from devpi_server.log import threadlog

from mirror.plugin.files.known_files import Expected
from mirror.plugin.single_flight import SingleFlight
from mirror.plugin.upstream.client import GatewayError, Upstream, UpstreamClient, number_in, text_in
from packhorse import files

CHUNK = 64 * 1024
# So much of what has arrived is shown only when all of it is known to be right: a client of a wrong
# file gets a broken transfer, and of a small wrong file a clean error.
HELD_BACK = 64 * 1024
AT_ONCE = 32  # downloads of one index; more wait for their turn
PATIENCE = 300  # seconds without a single byte, until a follower has to come back later


class DownloadSource(NamedTuple):
    """URL of a file, and the upstream that leads there."""

    url: str
    upstream: Upstream


@dataclass(frozen=True)
class DownloadRequest:
    """devpi's entry of a file (its values are loaded), and sources of it, the best first."""

    entry: Any
    sources: Sequence[DownloadSource]

    @property
    def relpath(self) -> str:
        """devpi's path of the file, "root/pypi/+f/…": requests with the same one share a download."""
        return str(self.entry.relpath)


class Download(Future[None]):
    """A download in progress, done when the file is stored. One thread writes; any number read."""

    def __init__(self, request: DownloadRequest, path: Path, expected: Expected | None = None) -> None:
        super().__init__()
        self.request = request
        self.expected = expected or Expected(request.entry.hashes)
        self.path = path
        self.length: int | None = None  # bytes, once the upstream has said so or all has arrived
        self.last_modified: str | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        files.try_flock(self._file)  # see _remove_leftovers
        weakref.finalize(self, os.close, self._file)  # when the last follower has gone
        self._arrived = 0
        self._changed = threading.Condition()

    def follow(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `stop`, as they arrive. Raises GatewayError."""
        position = start
        while True:
            readable = self.wait_for(position)
            end = readable if stop is None else min(stop, readable)
            if position >= end:
                return
            while position < end:
                chunk = os.pread(self._file, min(CHUNK, end - position), position)
                position += len(chunk)
                yield chunk

    def wait_for(self, position: int = 0) -> int:
        """Wait until bytes after `position`, or all, may be sent; how many may. Raises GatewayError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.done() or self._shown > position, PATIENCE):
                raise GatewayError(
                    503, f"nothing of {self.request.relpath} has arrived for {PATIENCE} seconds"
                )
        if self.done() and (error := self.exception()):
            raise error.again() if isinstance(error, GatewayError) else error
        return self._shown

    def complete(self) -> None:
        """Wait until the file is stored. Raises GatewayError."""
        self.wait_for(sys.maxsize)

    @property
    def _shown(self) -> int:
        # Without a length a cut answer looks like a whole one: then nothing is shown before the end.
        early = 0 if self.length is None else self._arrived - HELD_BACK
        return self._arrived if self.done() else early

    def begin(self, length: int | None, last_modified: str | None) -> None:
        """Note the headers of the upstream's answer."""
        self.last_modified = last_modified
        self.length = length

    def add(self, chunk: bytes) -> None:
        """Append bytes that have arrived."""
        written = 0
        while written < len(chunk):
            written += os.pwrite(self._file, chunk[written:], self._arrived + written)
        with self._changed:
            self._arrived += len(chunk)
            self._changed.notify_all()

    def flush(self) -> None:
        """Make it durable: a power cut must not take the bytes and leave devpi's record of them."""
        os.fsync(self._file)

    def set_result(self, result: None) -> None:
        """Finish: the file is verified and stored."""
        self.length = self._arrived
        super().set_result(result)
        self._wake()

    def set_exception(self, exception: BaseException | None) -> None:
        """Finish: the file cannot be had now."""
        # The frames of a traceback would hold this download, and with it the open file, for a long time.
        super().set_exception(exception.again() if isinstance(exception, GatewayError) else exception)
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Storage(Protocol):
    """Storage of verified files. Tests pass a fake."""

    def keep(self, download: Download, found: dict[str, str]) -> None:
        """Store the file at `download.path`, which has the hashes `found`. Raises GatewayError or OSError."""

    def keep_new(self, download: Download, found: dict[str, str]) -> None:
        """The same, in the write transaction of the caller."""


class Known(Protocol):
    """Facts about files before they are downloaded. Tests pass a fake."""

    def expected(self, entry: Any) -> Expected:
        """Hashes and size that the file must have. Needs a transaction."""

    def report(self, entry: Any, expected: Expected, found: str) -> None:
        """Report a file that has another sha256 than its earlier download."""


class Downloads:
    """The downloads in progress in this process, by devpi's path of the file."""

    def __init__(self, client: UpstreamClient, storage: Storage, folder: Path, known: Known) -> None:
        self._client = client
        self._known = known
        self._folder = folder
        self._storage = storage
        # Each index has its own threads: an upstream that sends its files slowly holds up no other.
        self._pools: defaultdict[str, ThreadPoolExecutor] = defaultdict(
            partial(ThreadPoolExecutor, AT_ONCE, thread_name_prefix="download")
        )
        self._in_progress: SingleFlight[Download] = SingleFlight(self._submit)
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)

    def join(self, request: DownloadRequest) -> Download | None:
        """The download of this file: the one in progress, else a new one.

        None when it needs none: another one ended after the client's look for the file. Needs a transaction.
        """

        def new() -> Download | None:
            if request.entry.file_exists():
                return None
            return Download(
                request, self._folder / secrets.token_hex(16), self._known.expected(request.entry)
            )

        return self._in_progress.join(request.relpath, new, self._download_and_store)

    def take(self, entry: Any, chunks: Iterable[bytes]) -> None:
        """Store a file that somebody brings, if it is the one that the upstream would have to send.

        Needs a write transaction. Raises GatewayError.
        """
        path = self._folder / secrets.token_hex(16)
        download = Download(DownloadRequest(entry, ()), path, self._known.expected(entry))
        try:
            received, found = _receive(download, chunks)
            if problem := _problem(download.expected, None, received, found):
                raise GatewayError(400, f"{entry.relpath} is another file: {problem}")
            download.flush()
            self._storage.keep_new(download, found)
        finally:
            path.unlink(missing_ok=True)

    def _submit(self, function: Callable[..., object], relpath: str, *arguments: object) -> None:
        index = relpath.partition("/+")[0]
        self._pools[index].submit(function, relpath, *arguments)

    def _download_and_store(self, download: Download) -> None:
        """Download, verify and store a file. Raises GatewayError."""
        relpath = download.request.relpath
        try:
            self._storage.keep(download, self._download(download))
        except GatewayError as error:
            threadlog.warn("%s: %s", relpath, error.text)
            raise
        except OSError as error:
            threadlog.error("%s: %s", relpath, error)
            raise GatewayError(503, f"the file cannot be stored: {error.strerror}") from error
        except Exception as error:
            threadlog.exception("download of %s", relpath)
            raise GatewayError(503, "the download ended for a reason that is in the server's log") from error
        finally:
            download.path.unlink(missing_ok=True)

    def _download(self, download: Download) -> dict[str, str]:
        """Fetch the file; return its hashes. Raises GatewayError unless length and hashes are as stated."""
        with ExitStack() as until_read:
            answer = self._answer(download.request, until_read)
            length = number_in(answer.headers.get("Content-Length"))
            download.begin(length, text_in(answer.headers.get("Last-Modified")))
            received, found = _receive(download, answer.iter_raw(CHUNK))
        if problem := _problem(download.expected, download.length, received, found):
            if "sha256" in problem:
                self._known.report(download.request.entry, download.expected, found["sha256"])
            raise GatewayError(502, _refusal(download.request, problem))
        download.flush()
        return found

    def _answer(self, request: DownloadRequest, until_read: ExitStack) -> Any:
        """Answer of the first source that has the file. Raises what the last one raised, or who denies it."""
        *others, last = request.sources
        for source in others:
            try:
                return until_read.enter_context(self._ask(source))
            except GatewayError as error:
                if error.status == 403:  # what the primary denies, its replica fetches from nowhere
                    raise
                threadlog.info("%s: %s", request.relpath, error.text)
        return until_read.enter_context(self._ask(last))

    def _ask(self, source: DownloadSource) -> AbstractContextManager[Any]:
        return self._client.stream(source.url, source.upstream, whole=False)


def _receive(download: Download, chunks: Iterable[bytes]) -> tuple[int, dict[str, str]]:
    """Write what comes, but not without end; the number of bytes, and their hashes."""
    expected = download.expected
    running = {kind: hashlib.new(kind) for kind in {"sha256", *expected.hashes}}
    received = 0
    for chunk in chunks:
        download.add(chunk)
        received += len(chunk)
        if received > expected.most:
            break
        for hasher in running.values():
            hasher.update(chunk)
    return received, {kind: hasher.hexdigest() for kind, hasher in running.items()}


def _problem(expected: Expected, length: int | None, received: int, found: Mapping[str, str]) -> str | None:
    """Describe the fault of the bytes that came, None without one. `length` is that of the answer."""
    if received > expected.most:
        return f"more than the {expected.most} bytes that its page says, or that are taken at most"
    if length not in {None, received}:
        return f"{received} bytes instead of {length}"
    wrong = next((kind for kind, value in sorted(expected.hashes.items()) if found[kind] != value), None)
    if wrong:
        return f"another {'sha256' if expected.pinned not in {None, found['sha256']} else wrong}"
    if expected.size not in {None, received}:
        return f"{received} bytes instead of the {expected.size} that its page says"
    return None


def _refusal(request: DownloadRequest, problem: str) -> str:
    """A problem of a file, and the way out for administrators when it stays."""
    return (
        f"the upstream gave a wrong file for {request.relpath}: {problem}. If it stays so:"
        f" `mirror why {request.entry.project or 'NAME'}` on the mirror's machine shows what has changed"
        " upstream, `mirror accept-changed` takes it"
    )


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of processes that have ended: nobody holds the lock on them."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            if files.try_flock(file.fileno()):
                path.unlink()

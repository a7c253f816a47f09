"""Fill the mirror's cache with the files of locks, by downloading each of them through the mirror."""

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from mirror.lockfiles import choice, lock
from mirror.lockfiles.choice import PageFile
from mirror.lockfiles.environments import Environment
from mirror.lockfiles.lock import Lock, Pin
from mirror.offline import resolve, storage
from mirror.offline.builds import BuildRequirements, Sdist
from mirror.offline.resolve import Place, Unresolved
from mirror.offline.storage import StoredFiles
from mirror.serving.running import Running

AT_ONCE = 16
TRIES = 4  # while the mirror answers 503
SILENCE = 120  # seconds; the mirror may have to wait for its upstream
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
CHUNK = 256 * 1024
NOTE_TIMEOUT = 3  # seconds
MOST_NAMED = 10  # projects in a message of uv whose pages are looked at
# uv says: there are no versions of NAME; only NAME<3 is available; because NAME depends on NAME.
_NAMED = re.compile(r"\b(?:of|on|only|because|and|require) ([a-z0-9][a-z0-9._-]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """The result for one file, or for a pin whose files could not be found out."""

    pin: Pin
    filename: str = ""
    size: int = 0
    new: bool = False  # it came now, instead of having been there
    problem: str = ""  # empty: the file is in the cache
    status: int | None = None  # of the mirror's answer, if that is the problem
    path: Path | None = field(default=None, compare=False)  # where the mirror stores it
    builders: tuple[Environment, ...] = ()  # of an sdist: the environments that must build it

    def __str__(self) -> str:
        return self.filename or str(self.pin)


@dataclass(frozen=True)
class Found:
    """A file that is to come: its size, as far as the index tells it."""

    size: int


@dataclass(frozen=True)
class Received:
    """Bytes that have arrived."""

    size: int


Event = Found | Received | Result | Unresolved


class DownloadError(Exception):
    """The mirror did not send the page or file that was asked for: why, and the status of its answer."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


def index_url(mirror: Running, index: str) -> str:
    """The URL of the simple index `index` of the running mirror."""
    return f"{mirror.url}/{index}/+simple/"


@dataclass(frozen=True)
class _Listed:
    """The files of a pin, and the page that lists them; or why there are none."""

    pin: Pin
    url: str
    files: Sequence[PageFile] = ()
    builders: Mapping[str, tuple[Environment, ...]] = field(default_factory=dict)
    problem: str = ""
    status: int | None = None


def fill(
    found: Lock, environments: Sequence[Environment], place: Place, prefetch: "Prefetch"
) -> Iterator[Event]:
    """Bring what a lock asks for, and what its sdists need to be built; yield what happens.

    What is pinned comes while uv resolves the rest: from when the pages are here, for which both would ask
    at once; once more without those pins that cannot be had, if it fails. Build requirements may be sdists
    that have some, too.
    """
    builds = BuildRequirements(place)
    sdists: list[Sdist] = []
    failed: set[Pin] = set()

    def fetched(pins: Iterable[Pin], listed: Callable[[], object] = lambda: None) -> Iterator[Event]:
        for event in prefetch.run(pins, listed):
            yield event
            if isinstance(event, Result) and event.problem:
                failed.add(event.pin)
            elif isinstance(event, Result) and event.path:
                sdists.append(Sdist(event.path, event.builders))

    with ThreadPoolExecutor(1) as pool:
        resolving: list[Future[tuple[tuple[Pin, ...], list[Unresolved]]]] = []
        yield from fetched(
            found.pins, lambda: resolving.append(pool.submit(resolve.pins, found, environments, place))
        )
        pins, unresolved = resolving[0].result()
    if unresolved and failed:
        rest = replace(found, pins=tuple(pin for pin in found.pins if pin not in failed))
        pins, unresolved = resolve.pins(rest, environments, place)
    while pins or unresolved:
        yield from map(prefetch.explained, unresolved)
        yield from fetched(pins)
        pins, unresolved = builds.of(sdists)
        sdists.clear()


class Prefetch:
    """Downloads the files of pins through the mirror at `index_url`.

    The mirror stores a file before it sends the last bytes of it: once we have read it all, it is cached.
    """

    def __init__(
        self,
        index_url: str,
        here: StoredFiles,
        client: httpx.Client,
        *,
        every: bool = False,
        where: str = "the index",
    ) -> None:
        """`every`: each file of a version; `where`: what is said to lack a file."""
        self._index_url = index_url
        self._where = where
        self._here = here
        self._client = client
        self._every = every
        self._events: queue.SimpleQueue[Event | _Listed | Exception] = queue.SimpleQueue()
        self._finding, self._fetching = self._workers(self._find), self._workers(self._fetch)
        self._seen: set[str] = set()  # URLs of files
        self._found: set[tuple[str | Pin, Environment]] = set()

    def run(self, pins: Iterable[Pin], listed: Callable[[], object] = lambda: None) -> Iterator[Event]:
        """Yield what happens until all is done; a file that several pins ask for is fetched once.

        Calls `listed` when the pages of all pins are here, and files may still be on their way.
        """
        pages = files = 0
        for pin in pins:
            named = {(str(pin), environment) for environment in pin.environments}
            # One with hashes is looked for besides one without: these are checked.
            asked = named if pin.is_bare else {(pin, environment) for environment in pin.environments}
            if not asked <= self._found:
                self._found |= named | asked
                self._finding.put((pin,))
                pages += 1
        if not pages:
            listed()
        while pages or files:
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, _Listed):
                for size in self._begin(event):
                    files += 1
                    yield Found(size)
                if event.problem:
                    yield Result(event.pin, problem=event.problem, status=event.status)
                pages -= 1
                if not pages:
                    listed()
            else:
                files -= isinstance(event, Result)
                yield event

    def explained(self, unresolved: Unresolved) -> Unresolved:
        """`unresolved` with the projects of those that uv names of which policies withhold files."""
        named = dict.fromkeys(lock.normalised(name) for name in _NAMED.findall(unresolved.reason))
        notes = [note for name in list(named)[:MOST_NAMED] if (note := self._note(name))]
        return replace(unresolved, reason=f"{unresolved.reason}{''.join(notes)}")

    def _note(self, project: str) -> str:
        """A note for people: not worth the wait for an upstream that does not answer."""
        url = f"{self._index_url}{project}/"
        try:
            answer = self._client.get(url, headers={"Accept": SIMPLE_JSON}, timeout=NOTE_TIMEOUT)
        except httpx.HTTPError:
            return ""
        return _withheld(project, project, answer.json()) if answer.status_code == 200 else ""

    def _begin(self, page: _Listed) -> Iterator[int]:
        """Begin to fetch the files of a page that no other pin has asked for; their sizes."""
        for file in page.files:
            url = urljoin(page.url, file["url"])
            if url not in self._seen:
                self._seen.add(url)
                self._fetching.put((page.pin, url, file, page.builders.get(file["filename"], ())))
                yield _size(file)

    def _workers(self, task: Callable[..., Result | _Listed]) -> queue.SimpleQueue[tuple[Any, ...]]:
        """Threads that do `task` with what is put into the queue. They end with the process: one that is
        interrupted is not to wait for the downloads of a slow line.
        """
        todo: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

        def work() -> None:
            while True:
                arguments = todo.get()
                try:
                    self._events.put(task(*arguments))
                except Exception as error:  # noqa: BLE001  # `run` raises it
                    self._events.put(error)

        for _ in range(AT_ONCE):
            threading.Thread(target=work, daemon=True).start()
        return todo

    def _find(self, pin: Pin) -> _Listed:
        url = f"{self._index_url}{pin.project}/"
        try:
            with get(self._client, url, {"Accept": SIMPLE_JSON}) as answer:
                page = json.loads(answer.read())
        except (DownloadError, httpx.HTTPError) as error:
            return _Listed(pin, url, problem=str(error) or type(error).__name__, status=_status(error))
        listed = page["files"]
        try:
            files = choice.choose(pin, listed, every=self._every, where=self._where)
        except choice.NoFileError as error:
            return _Listed(pin, url, problem=f"{error}{_withheld(pin.project, pin, page)}")
        return _Listed(pin, url, files, choice.builders(pin, listed))

    def _fetch(self, pin: Pin, url: str, file: PageFile, builders: tuple[Environment, ...]) -> Result:
        name, size = file["filename"], _size(file)
        hashes = {**file["hashes"], **choice.locked_hashes(pin, file)}
        if path := self._here.at(url):
            problem = storage.problem(path, hashes, lambda path: path.open("rb"))
            self._events.put(Received(size))
            size = path.stat().st_size
            return Result(pin, name, size, problem=problem, path=path, builders=builders)
        try:
            with get(self._client, url, {}) as response:
                size = self._read(response, hashes)
        except (DownloadError, httpx.HTTPError) as error:
            return Result(pin, name, problem=str(error) or type(error).__name__, status=_status(error))
        return Result(pin, name, size, new=True, path=self._here.at(url), builders=builders)

    def _read(self, response: httpx.Response, hashes: Mapping[str, str]) -> int:
        """Read the whole body, to count and to check it; its size. Raises DownloadError for another hash."""
        hashers = storage.hashers(hashes)
        size = 0
        for chunk in response.iter_bytes(CHUNK):
            size += len(chunk)
            self._events.put(Received(len(chunk)))
            for hasher in hashers.values():
                hasher.update(chunk)
        if wrong := storage.difference(hashers, hashes):
            raise DownloadError(wrong)
        return size


def _withheld(project: str, wanted: object, page: Mapping[str, Any]) -> str:
    """A note for whom misses a file: policies withhold some of the project, in whatever version."""
    withheld = page.get("meta", {}).get("_withheld")
    return f"; policies withhold files of {project}: see `mirror why {wanted}`" if withheld else ""


def _status(error: Exception) -> int | None:
    return error.status if isinstance(error, DownloadError) else None


def _size(file: PageFile) -> int:
    """Bytes that a page states, 0 when it states none (PEP 700)."""
    size = file.get("size")
    return size if isinstance(size, int) else 0


@contextmanager
def get(client: httpx.Client, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    """The response 200, its body unread; asks again while the mirror answers 503. Raises DownloadError."""
    for tries_left in reversed(range(TRIES)):
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == 200:
                yield response
                return
            is_text = response.headers.get("Content-Type", "").startswith("text/plain")
            reason = response.read().decode(errors="replace").strip().rpartition("\n")[2] if is_text else ""
        if response.status_code != 503 or "offline" in reason or not tries_left:
            break
        after = response.headers.get("Retry-After", "")
        time.sleep(min(int(after) if after.isdecimal() else 1, 5))
    # Without the address: who asks knows what for, and many pages may fail for one reason.
    raise DownloadError(f"{response.status_code} {reason or response.reason_phrase}", response.status_code)

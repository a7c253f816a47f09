"""Fill the mirror's cache with the files of a lock, by downloading each of them through the mirror."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from mirror import api, lockfile, state
from mirror.lockfile import Pin
from mirror.state import Folder
from packhorse.errors import PackhorseError

AT_ONCE = 16
TRIES = 4  # while the mirror answers 503
SILENCE = 120  # seconds; the mirror may have to wait for its upstream
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Result:
    """The result for one pin; `problem` is empty when its file is in the cache."""

    pin: Pin
    size: int = 0
    problem: str = ""


class DownloadError(Exception):
    """The mirror did not send the page or file that was asked for; the message says why."""


def index_url(folder: Folder, index: str) -> str:
    """The URL of the simple index `index` of the running mirror. Raises PackhorseError when none runs."""
    now = state.read_serving(folder)
    if now is None:
        raise PackhorseError("The mirror does not serve.", "Start it with `mirror serve --background`.")
    return f"{now.url}/{index}/+simple/"


def summary(results: Sequence[Result]) -> str:
    """A sentence that counts the files. Raises PackhorseError that names every missing one."""
    failed = [result for result in results if result.problem]
    if failed:
        raise PackhorseError(
            f"{len(failed)} of {len(results)} files are not in the cache.",
            "Correct the lock where the index has no such file; otherwise run the command again.",
            detail="\n".join(f"{result.pin}: {result.problem}" for result in failed),
        )
    size = sum(result.size for result in results)
    return f"{len(results)} files with {size / 1e6:.1f} MB are in the cache"


def fetch_all(pins: Sequence[Pin], index_url: str) -> Iterator[Result]:
    """Download the files of `pins` through the mirror at `index_url`; yield results as they come.

    The mirror stores a file before it sends the last bytes of it: once we have read it all, it is cached.
    """
    with api.client(timeout=SILENCE) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(_fetch, pin, index_url, client) for pin in pins]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:  # when interrupted: start no further downloads
            pool.shutdown(wait=False, cancel_futures=True)


def _fetch(pin: Pin, index_url: str, client: httpx.Client) -> Result:
    page_url = f"{index_url}{pin.project}/"
    try:
        with get(client, page_url, {"Accept": SIMPLE_JSON}) as page:
            file = lockfile.choose(pin, json.loads(page.read())["files"])
        with get(client, urljoin(page_url, file["url"]), {}) as response:
            size = _read(response, file["hashes"])  # one of them is in the lock, see choose
    except (DownloadError, lockfile.NoFileError, httpx.HTTPError) as error:
        return Result(pin, problem=str(error) or type(error).__name__)
    return Result(pin, size)


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
    raise DownloadError(f"{url}: {response.status_code} {reason or response.reason_phrase}")


def _read(response: httpx.Response, hashes: Mapping[str, Any]) -> int:
    """Read the whole body, to count and to check it; its size. Raises DownloadError for another hash."""
    hashers = {kind: hashlib.new(kind) for kind in hashes if kind in hashlib.algorithms_guaranteed}
    size = 0
    for chunk in response.iter_bytes(CHUNK):
        size += len(chunk)
        for hasher in hashers.values():
            hasher.update(chunk)
    for kind, hasher in hashers.items():
        if hasher.hexdigest() != hashes[kind]:
            raise DownloadError(f"its {kind} is {hasher.hexdigest()} instead of {hashes[kind]}")
    return size

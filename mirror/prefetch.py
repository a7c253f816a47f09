"""What a lock needs in, every file of it in the mirror's cache out: fetched through the mirror itself."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from mirror import locks, state
from mirror.locks import Wanted
from mirror.state import Folder
from packhorse.errors import PackhorseError

AT_ONCE = 16
TRIES = 4  # while the mirror answers 503
SILENCE = 120  # seconds; the mirror may have to wait for its upstream
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Result:
    """How it went with one file; `problem` is empty when it is in the cache."""

    wanted: Wanted
    size: int = 0
    problem: str = ""


class Failed(Exception):  # noqa: N818 (a result, reported with all others)
    """The mirror did not give what was asked; says why."""


def index_url(folder: Folder, index: str) -> str:
    """The simple index `index` of the mirror that serves. Raises PackhorseError when none does."""
    now = state.read_serving(folder)
    if now is None:
        raise PackhorseError("The mirror does not serve.", "Start it with `mirror serve --background`.")
    return f"{now.url}/{index}/+simple/"


def summary(results: Sequence[Result]) -> str:
    """What was done, in a sentence. Raises PackhorseError that names every file that is missing."""
    failed = [result for result in results if result.problem]
    if failed:
        raise PackhorseError(
            f"{len(failed)} of {len(results)} files are not in the cache.",
            "Correct the lock where the index has no such file; otherwise run the command again.",
            detail="\n".join(f"{result.wanted}: {result.problem}" for result in failed),
        )
    size = sum(result.size for result in results)
    return f"{len(results)} files with {size / 1e6:.1f} MB are in the cache"


def fetch_all(wanted: Sequence[Wanted], index_url: str) -> Iterator[Result]:
    """Bring everything into the cache of the mirror that has this simple index; results as they come.

    The mirror keeps a file before it sends the last bytes of it: who has read it all may go.
    """
    with requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:
        session.trust_env = False  # no proxy between us and our own server
        session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))
        running = [pool.submit(_fetch, one, index_url, session) for one in wanted]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:  # when interrupted: do not begin what has not begun
            pool.shutdown(wait=False, cancel_futures=True)


def _fetch(wanted: Wanted, index_url: str, session: requests.Session) -> Result:
    page_url = f"{index_url}{wanted.project}/"
    try:
        with _get(session, page_url, {"Accept": SIMPLE_JSON}) as page:
            file = locks.choose(wanted, page.json()["files"])
        with _get(session, urljoin(page_url, file["url"]), {}) as answer:
            size = _read(answer, {**file["hashes"], **dict(wanted.hashes)})
    except (Failed, locks.NotThere, requests.RequestException) as error:
        return Result(wanted, problem=str(error))
    return Result(wanted, size)


def _get(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    """The answer 200, however often it takes to ask. Raises Failed."""
    for tries_left in reversed(range(TRIES)):
        answer = session.get(url, headers=headers, timeout=SILENCE, stream=True)
        if answer.status_code == 200:
            return answer
        said = answer.text.strip().splitlines()[-1:] if _is_text(answer) else []
        answer.close()
        if answer.status_code != 503 or "offline" in "".join(said) or not tries_left:
            break
        after = answer.headers.get("Retry-After", "")
        time.sleep(min(int(after) if after.isdecimal() else 1, 5))
    raise Failed(f"{url}: {answer.status_code} {''.join(said) or answer.reason}")


def _is_text(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/plain")


def _read(answer: requests.Response, hashes: Mapping[str, Any]) -> int:
    """Read all of it, only to count and to check. Raises Failed for another hash."""
    known = {kind: hashlib.new(kind) for kind in hashes if kind in hashlib.algorithms_guaranteed}
    size = 0
    for chunk in answer.iter_content(CHUNK):
        size += len(chunk)
        for hasher in known.values():
            hasher.update(chunk)
    for kind, hasher in known.items():
        if hasher.hexdigest() != hashes[kind]:
            raise Failed(f"its {kind} is {hasher.hexdigest()} instead of {hashes[kind]}")
    return size

"""Download files from the index once, verify their hashes, and keep them for all releases."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk.layout import Layout
from release.host.disk.manifest import File
from release.host.formats import origin

CHUNK = 256 * 1024
NETWORK_TIMEOUT = 20.0  # seconds without a byte
AT_ONCE = 8
JSON = "application/vnd.pypi.simple.v1+json"
_UNREACHABLE = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class Index:
    """The page of an index that all projects lie below, and the token that reads it; None: everybody does."""

    url: str
    token: str | None = field(default=None, repr=False)


def path(layout: Layout, file: File) -> Path:
    """The path of `file` in the cache. A file there was verified, and never changes."""
    return layout.files / file.sha256 / file.filename


def fetch(layout: Layout, needed: Sequence[File], index: Index | None, session: Session) -> None:
    """Download the missing ones of `needed`, several at once; without an index, none may be missing.

    Raises PackhorseError, StoppedError, or OSError for the disk.
    """
    missing = [file for file in needed if not path(layout, file).exists()]
    if missing and index is None:
        names = ", ".join(file.filename for file in missing)
        raise PackhorseError(
            f"This host does not have {names} any more.", "Deploy the version again: release deploy TARGET"
        )
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        running = [pool.submit(_fetch, layout, file, index or Index(""), session) for file in missing]
        for done in concurrent.futures.as_completed(running):
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure nothing else is begun


def _fetch(layout: Layout, file: File, index: Index, session: Session) -> None:
    """Download `file` and verify its hash; it appears whole."""
    session.safe_point()
    url = file.url or _url(file, index)
    place = path(layout, file)
    place.parent.mkdir(exist_ok=True)
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with _open(url, index) as answer, scratch.open("xb") as target:
            digest = hashlib.sha256()
            while chunk := answer.read(CHUNK):
                session.safe_point()
                digest.update(chunk)
                target.write(chunk)
            if answer.length:  # http.client takes a broken connection for the end
                raise http.client.IncompleteRead(b"", answer.length)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != file.sha256:
            raise PackhorseError(
                f"{file.filename} has the sha256 {digest.hexdigest()}, but {file.sha256} was promised.",
                "Find out who changed the file; upload it again under a new version.",
            )
        scratch.replace(place)
    except _UNREACHABLE as error:
        raise _unreachable(url, error) from error
    finally:
        scratch.unlink(missing_ok=True)
    files.sync_folder(place.parent)


def _url(file: File, index: Index) -> str:
    """The URL of `file` on the index, found by its hash: another file may have its name."""
    page = f"{index.url}{file.project}/"
    try:
        with _open(page, index, JSON) as answer:
            if answer.headers.get_content_type() != JSON:
                raise PackhorseError(f"{page} does not speak JSON (PEP 691).", "Check index in release.toml.")
            entries: list[dict[str, Any]] = json.loads(answer.read())["files"]
            found: list[str] = [
                entry["url"] for entry in entries if entry["hashes"].get("sha256") == file.sha256
            ]
            if found:
                return urljoin(answer.url, found[0])
    except _UNREACHABLE as error:
        raise _unreachable(page, error) from error
    raise PackhorseError(
        f"{file.filename}: a file on the index is not the one that was locked, or it is gone ({page}).",
        "Find out who changed the file; renew the lock if that was right: release lock",
    )


def _open(url: str, index: Index, accept: str = "*/*") -> http.client.HTTPResponse:
    if not url.startswith(("http://", "https://")):
        raise PackhorseError(f"{url}: this is no web address.", "Check the index.")
    request = request_of(url, index, accept)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT)  # noqa: S310
    return answer


def request_of(url: str, index: Index, accept: str) -> urllib.request.Request:
    """A request for `url`, with the token on the origin of `index` alone; no redirect takes it along."""
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310  # by who calls
    if index.token and origin.of(url) == origin.of(index.url):
        request.add_unredirected_header("Authorization", origin.of_token(index.token))
    return request


def _unreachable(url: str, error: Exception) -> PackhorseError:
    if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
        return PackhorseError(
            f"{url} is not for everybody, and refuses what this host was given: {error.code} {error.reason}.",
            "Log in where you deploy (release login) and deploy again; what hosts get reads for an hour.",
        )
    return PackhorseError(
        f"{url} could not be fetched: {error}", "Check that the index runs and is reachable from this host."
    )


def prune(layout: Layout, needed: Collection[str]) -> list[str]:
    """Remove all files but those with a hash in `needed`, and half-written ones. Return the removed names.

    Raises OSError.
    """
    removed = []
    for folder in layout.files.iterdir():
        if folder.name in needed:
            for scratch in folder.glob(".*"):
                shutil.rmtree(scratch) if scratch.is_dir() else scratch.unlink()
        else:
            removed += [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
            shutil.rmtree(folder)
    return removed

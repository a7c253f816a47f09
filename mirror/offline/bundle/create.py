"""Make bundles of what locks pin, and add to them: files, and what pages of the mirror say of them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from mirror import api
from mirror.lockfiles import choice
from mirror.lockfiles.choice import NoFileError
from mirror.lockfiles.lock import Pin
from mirror.offline import prefetch
from mirror.offline.bundle import disk, folder, listing
from mirror.offline.bundle.listing import FILES, METADATA, File, Listing, WrongListingError
from mirror.offline.prefetch import AT_ONCE, SILENCE, SIMPLE_JSON, DownloadError
from packhorse.errors import PackhorseError

Step = Callable[[], None]


@dataclass(frozen=True)
class Made:
    """A bundle that was written, or extended."""

    path: Path
    listing: Listing
    new: tuple[File, ...]  # that were not there before
    fingerprint: str  # see disk.fingerprint
    delta: Path | None = None  # the bundle of the new ones alone


@dataclass(frozen=True)
class _Got:
    """What one pin brought."""

    files: tuple[File, ...] = ()
    status: Mapping[str, str] | None = None
    problem: str = ""


def create(pins: Sequence[Pin], index_url: str, target: Path, step: Step) -> Made:
    """Make a bundle of the files of `pins`, in the place of the one at `target` if there is one.

    Raises PackhorseError that names every file that cannot be had; nothing has changed then.
    """
    target = target.resolve()
    _refuse_other(target)
    before = disk.read(target) if disk.is_bundle(target) else Listing()
    with folder.replacing(target) as scratch:
        got = _collect(pins, index_url, scratch, step)
        _write(scratch, got)
        fingerprint = disk.fingerprint(scratch)
    known = set(before.files)
    return Made(target, got, tuple(file for file in got.files if file not in known), fingerprint)


def update(pins: Sequence[Pin], index_url: str, target: Path, delta: Path | None, step: Step) -> Made:
    """Add the files of `pins` to the bundle at `target`; write what is new to `delta` as well.

    What pages say of a file by now (a yank) replaces what the bundle said; such a file counts as new.
    Raises PackhorseError; nothing has changed then.
    """
    target = target.resolve()
    folder.recover(target)
    before = disk.read(target)
    with folder.replacing(target) as scratch:
        got = _collect(pins, index_url, scratch, step)
        merged = _merged(before, got)
        known = set(before.files)
        new = Listing(
            tuple(file for file in got.files if file not in known),
            {name: got.statuses[name] for name in got.statuses},
        )
        for file in before.files:
            _link(target, scratch, file)
        _write(scratch, merged)
        if delta:
            _write_delta(scratch, new, delta.resolve())
        fingerprint = disk.fingerprint(scratch)
    return Made(target, merged, new.files, fingerprint, delta)


def _refuse_other(target: Path) -> None:
    """Raise PackhorseError when `target` is something that a bundle must not replace."""
    folder.recover(target)
    if target.exists() and not disk.is_bundle(target) and (not target.is_dir() or any(target.iterdir())):
        raise PackhorseError(
            f"{target} is there already, and is not a bundle.", "Name a new folder, or one with a bundle."
        )


def _merged(before: Listing, got: Listing) -> Listing:
    files = {file.filename: file for file in before.files}
    for file in got.files:
        old = files.get(file.filename)
        if old and (old.sha256, old.project) != (file.sha256, file.project):
            raise PackhorseError(
                f"{file.filename} is in the bundle with another content: {old.sha256}, not {file.sha256}.",
                "A release does not change. Find out which one is right, and make the bundle anew.",
            )
        files[file.filename] = file
    return Listing(tuple(files.values()), {**before.statuses, **got.statuses})


def _write_delta(source: Path, new: Listing, delta: Path) -> None:
    _refuse_other(delta)
    if disk.is_bundle(delta):
        # Not yet carried anywhere, perhaps; the same again is what a killed run has left.
        if listing.texts(disk.read(delta)) == listing.texts(new):
            return
        raise PackhorseError(
            f"{delta} has another bundle.", "Name a new folder, or remove that one when it is loaded."
        )
    with folder.replacing(delta) as scratch:
        for file in new.files:
            _link(source, scratch, file)
        _write(scratch, new)


def _link(source: Path, target: Path, file: File) -> None:
    """Let a bundle have a file of another one, without a copy where the file system can; checked first."""
    if problem := disk.problem(source, file):
        raise PackhorseError(
            f"{source}: {problem}.", "The disk has changed it: make the bundle anew (`mirror bundle create`)."
        )
    (target / FILES).mkdir(exist_ok=True)
    for path in file.paths:
        if (target / path).exists():
            continue
        try:
            os.link(source / path, target / path)
        except OSError:  # exFAT, or another disk
            shutil.copyfile(source / path, target / path)


def _write(scratch: Path, listed: Listing) -> None:
    for path, content in listing.texts(listed).items():
        (scratch / path).parent.mkdir(parents=True, exist_ok=True)
        (scratch / path).write_bytes(content)
    (scratch / FILES).mkdir(exist_ok=True)


def _collect(pins: Sequence[Pin], index_url: str, scratch: Path, step: Step) -> Listing:
    """Download the files of `pins` to `scratch`. Raises PackhorseError that names every missing one."""
    (scratch / FILES).mkdir()
    got: list[_Got] = []
    with api.client(timeout=SILENCE) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        source = _Source(client, index_url, scratch / FILES)
        running = {pool.submit(source.get, project, list(of)): project for project, of in _by_project(pins)}
        try:
            for done in as_completed(running):
                got += done.result()
                for _ in done.result():
                    step()
        finally:  # when interrupted: start no further downloads, and end those that go on
            pool.shutdown(wait=False, cancel_futures=True)
            client.close()
    if problems := sorted(each.problem for each in got if each.problem):
        raise PackhorseError(
            f"{len(problems)} of {len(pins)} pins cannot be bundled.",
            "Correct the lock where the index has no such file; otherwise run the command again.",
            detail="\n".join(problems),
        )
    files = {file.filename: file for each in got for file in each.files}
    statuses = {file.project: each.status for each in got for file in each.files if each.status}
    return Listing(tuple(files[name] for name in sorted(files)), statuses)


def _by_project(pins: Iterable[Pin]) -> Iterator[tuple[str, list[Pin]]]:
    found: dict[str, list[Pin]] = {}
    for pin in pins:
        found.setdefault(pin.project, []).append(pin)
    yield from found.items()


class _Source:
    """The pages and files of one index of the running mirror."""

    def __init__(self, client: httpx.Client, index_url: str, files: Path) -> None:
        self._client = client
        self._index_url = index_url
        self._files = files
        self._is_own = cache(self._asks_is_own)

    def get(self, project: str, pins: Sequence[Pin]) -> list[_Got]:
        """What the pins of one project bring, or why not."""
        page_url = f"{self._index_url}{project}/"
        try:
            page = json.loads(self._read(page_url, {"Accept": SIMPLE_JSON}))
        except (DownloadError, httpx.HTTPError, ValueError) as error:
            return [_Got(problem=f"{pin}: {str(error) or type(error).__name__}") for pin in pins]
        return [self._get(pin, page, page_url) for pin in pins]

    def _get(self, pin: Pin, page: Mapping[str, Any], page_url: str) -> _Got:
        try:
            chosen = choice.choose(pin, page["files"])
            files = tuple(self._file(pin.project, each, page_url) for each in chosen)
        except (DownloadError, NoFileError, WrongListingError, httpx.HTTPError) as error:
            return _Got(problem=f"{pin}: {str(error) or type(error).__name__}")
        return _Got(files, listing.said_status(page))

    def _file(self, project: str, listed: Mapping[str, Any], page_url: str) -> File:
        """Download a file, and the metadata file that belongs to it."""
        listing.release(listed["filename"])
        url = urljoin(page_url, listed["url"]).partition("#")[0]
        path = self._files / listed["filename"]
        size, sha256 = self._download(url, path, listed["hashes"])
        offered = listed.get("core-metadata", listed.get("dist-info-metadata"))
        metadata = None
        if offered and listed["filename"].endswith(".whl"):
            stated = offered if isinstance(offered, dict) else {}
            _, metadata = self._download(f"{url}{METADATA}", path.with_name(path.name + METADATA), stated)
        own = self._is_own("/".join(urlsplit(url).path.split("/")[1:3]))
        said = listing.said(listed)
        if own:  # it was uploaded to another mirror at another time
            said["upload_time"] = None
        return File(project, listed["filename"], size, sha256, metadata, own=own, **said)

    def _download(self, url: str, path: Path, hashes: Mapping[str, str]) -> tuple[int, str]:
        """Size and sha256 of what was written to `path`. Raises DownloadError unless `hashes` are its."""
        kinds = {"sha256", *(kind for kind in hashes if kind in hashlib.algorithms_guaranteed)}
        hashers = {kind: hashlib.new(kind) for kind in kinds}
        size = 0
        with prefetch.get(self._client, url, {}) as response, path.open("wb") as file:
            for chunk in response.iter_bytes(prefetch.CHUNK):
                size += file.write(chunk)
                for hasher in hashers.values():
                    hasher.update(chunk)
        for kind, stated in hashes.items():
            if kind in hashers and hashers[kind].hexdigest() != stated:
                raise DownloadError(f"its {kind} is {hashers[kind].hexdigest()} instead of {stated}")
        return size, hashers["sha256"].hexdigest()

    def _read(self, url: str, headers: Mapping[str, str]) -> bytes:
        with prefetch.get(self._client, url, headers) as response:
            return response.read()

    def _asks_is_own(self, index: str) -> bool:
        """Whether `index` is one of uploads."""
        url = f"{urljoin(self._index_url, '/')}{index}?no_projects="
        found = json.loads(self._read(url, {"Accept": "application/json"}))
        return bool(found["result"]["type"] != "mirror")

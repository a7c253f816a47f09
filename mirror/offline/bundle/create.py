"""Make bundles of what locks pin, and add to them: files, and what pages of the mirror say of them."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from mirror.offline import prefetch, storage
from mirror.offline.bundle import disk, folder, listing
from mirror.offline.bundle.listing import FILES, METADATA, File, Listing, WrongListingError
from mirror.offline.prefetch import AT_ONCE, SILENCE, SIMPLE_JSON, DownloadError, Result
from mirror.offline.storage import StoredFiles
from mirror.serving.running import Running
from packhorse.errors import PackhorseError


@dataclass(frozen=True)
class Wanted:
    """Contents of a bundle: files of an index of the running mirror, which a prefetch has chosen."""

    results: Sequence[Result]  # without a problem
    index_url: str
    here: StoredFiles  # of that index, and of those that it inherits from
    mirror: Running
    step: Callable[[], None] = lambda: None  # called after each file


@dataclass(frozen=True)
class Made:
    """A bundle that was written, or extended."""

    path: Path
    listing: Listing
    new: tuple[File, ...]  # that were not there before
    fingerprint: str  # see disk.fingerprint
    delta: Path | None = None  # the bundle of the new ones alone
    delta_fingerprint: str | None = None


def create(wanted: Wanted, target: Path) -> Made:
    """Make a bundle of what is wanted, in the place of the one at `target` if there is one.

    Raises PackhorseError that names every file that cannot be had; nothing has changed then.
    """
    target = target.resolve()
    _refuse_other(target)
    before = Listing()
    with contextlib.suppress(PackhorseError):  # none, or one that is damaged: it is made anew
        before = disk.read(target)
    with folder.replacing(target) as scratch:
        got = _collect(wanted, scratch)
        _write(scratch, got)
        fingerprint = disk.fingerprint(scratch)
    known = set(before.files)
    return Made(target, got, tuple(file for file in got.files if file not in known), fingerprint)


def update(wanted: Wanted, target: Path, delta: Path | None) -> Made:
    """Add what is wanted to the bundle at `target`; write what is new to `delta` as well.

    What pages say of a file by now (a yank, a provenance) replaces what the bundle said; such a file counts
    as new. A provenance that was there stays where pages name none any more.
    Raises PackhorseError; nothing has changed then.
    """
    target = target.resolve()
    folder.recover(target)
    before = disk.read(target)
    with folder.replacing(target) as scratch:
        got = _with_provenance_of(before, _collect(wanted, scratch))
        merged = _merged(before, got)
        known = set(before.files)
        new = Listing(
            tuple(file for file in got.files if file not in known),
            {name: got.statuses[name] for name in got.statuses},
        )
        listed = {path for file in merged.files for path in file.paths}
        for file in before.files:
            _link(target, scratch, file, listed)
        _write(scratch, merged)
        if delta:
            _write_delta(scratch, new, delta.resolve())
        fingerprint = disk.fingerprint(scratch)
    return Made(
        target, merged, new.files, fingerprint, delta, disk.fingerprint(delta.resolve()) if delta else None
    )


def _refuse_other(target: Path) -> None:
    """Raise PackhorseError when `target` is something that a bundle must not replace."""
    folder.recover(target)
    if target.exists() and not disk.is_bundle(target) and (not target.is_dir() or any(target.iterdir())):
        raise PackhorseError(
            f"{target} is there already, and is not a bundle.", "Name a new folder, or one with a bundle."
        )


def _with_provenance_of(before: Listing, got: Listing) -> Listing:
    """`got` with the provenance that the same files have in `before`, where it has none."""
    known = {(file.filename, file.sha256): file.provenance for file in before.files}
    files = (
        replace(file, provenance=file.provenance or known.get((file.filename, file.sha256)))
        for file in got.files
    )
    return replace(got, files=tuple(files))


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
            _link(source, scratch, file, file.paths)
        _write(scratch, new)


def _link(source: Path, target: Path, file: File, listed: Collection[str]) -> None:
    """Let a bundle that has the paths `listed` have a file of another one, checked first.

    Without a copy where the file system can.
    """
    if problem := disk.problem(source, file):
        raise PackhorseError(
            f"{source}: {problem}.", "The disk has changed it: make the bundle anew (`mirror bundle create`)."
        )
    for path in file.paths:
        if path not in listed or (target / path).exists():
            continue
        (target / path).parent.mkdir(exist_ok=True)
        try:
            os.link(source / path, target / path)
        except OSError:  # exFAT, or another disk
            shutil.copyfile(source / path, target / path)


def _write(scratch: Path, listed: Listing) -> None:
    for path, content in listing.texts(listed).items():
        (scratch / path).parent.mkdir(parents=True, exist_ok=True)
        (scratch / path).write_bytes(content)
    (scratch / FILES).mkdir(exist_ok=True)


def _collect(wanted: Wanted, scratch: Path) -> Listing:
    """Copy what is wanted to `scratch`. Raises PackhorseError that names all that cannot be had."""
    (scratch / FILES).mkdir()
    names: dict[str, set[str]] = {}
    for result in wanted.results:
        names.setdefault(result.pin.project, set()).add(result.filename)
    files: list[File] = []
    statuses, problems = {}, []
    with wanted.mirror.client(SILENCE) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        source = _Source(client, wanted, scratch)
        running = {pool.submit(source.get, project, of): project for project, of in sorted(names.items())}
        try:
            for done in as_completed(running):
                try:
                    found, status = done.result()
                except (DownloadError, WrongListingError, httpx.HTTPError, ValueError) as error:
                    problems.append(f"{running[done]}: {str(error) or type(error).__name__}")
                    continue
                files += found
                statuses.update({running[done]: status} if status else {})
        finally:  # when interrupted: start no further downloads, and end those that go on
            pool.shutdown(wait=False, cancel_futures=True)
            client.close()
    if problems:
        raise PackhorseError(
            f"{len(problems)} of {len(names)} projects cannot be bundled.",
            "The lines above say why; run the command again when that is mended.",
            detail="\n".join(sorted(problems)),
        )
    return Listing(tuple(sorted(files, key=lambda file: file.filename)), statuses)


class _Source:
    """The pages and files of one index of the running mirror."""

    def __init__(self, client: httpx.Client, wanted: Wanted, scratch: Path) -> None:
        self._client = client
        self._wanted = wanted
        self._scratch = scratch
        self._is_own = cache(self._asks_is_own)

    def get(self, project: str, names: Collection[str]) -> tuple[list[File], dict[str, str]]:
        """Some files of a project, as its page lists them, and its status.

        Raises DownloadError, WrongListingError, httpx.HTTPError, ValueError.
        """
        page_url = f"{self._wanted.index_url}{project}/"
        page = json.loads(self._read(page_url, {"Accept": SIMPLE_JSON}))
        listed = {file["filename"]: file for file in page["files"]}
        files = []
        for name in sorted(names):
            if name not in listed:
                raise DownloadError(f"the page lists {name} no longer")
            files.append(self._file(project, listed[name], page_url))
            self._wanted.step()
        return files, listing.said_status(page)

    def _file(self, project: str, listed: Mapping[str, Any], page_url: str) -> File:
        """Download a file, and the metadata file that belongs to it."""
        listing.release(listed["filename"])
        url = urljoin(page_url, listed["url"]).partition("#")[0]
        path = self._scratch / FILES / listed["filename"]
        size, sha256 = self._download(url, path, listed["hashes"])
        offered = listed.get("core-metadata", listed.get("dist-info-metadata"))
        metadata = None
        if offered and listed["filename"].endswith(".whl"):
            stated = offered if isinstance(offered, dict) else {}
            _, metadata = self._download(f"{url}{METADATA}", path.with_name(path.name + METADATA), stated)
        stored = self._wanted.here.at(url)
        if stored is None:
            raise DownloadError(f"{listed['filename']} is not on the mirror's disk any more")
        own = self._is_own(self._wanted.here.index_of(stored))
        said = listing.said(listed)
        if own:  # it was uploaded to another mirror at another time
            said["upload_time"] = None
        provenance = self._provenance(url) if listed.get("provenance") else None
        return File(
            project, listed["filename"], size, sha256, metadata, own=own, provenance=provenance, **said
        )

    def _provenance(self, url: str) -> str | None:
        """The sha256 of the provenance object of the file at `url`; None when nobody has it after all."""
        try:
            content = self._read(f"{url}.provenance", {})
        except DownloadError as error:
            if error.status == 404:
                return None
            raise
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._scratch / listing.provenance_path(sha256)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return sha256

    def _download(self, url: str, path: Path, hashes: Mapping[str, str]) -> tuple[int, str]:
        """Size and sha256 of what was written to `path`. Raises DownloadError unless `hashes` are its."""
        hashers = storage.hashers({"sha256": "", **hashes})
        size = 0
        try:
            with prefetch.get(self._client, url, {}) as response, path.open("wb") as file:
                for chunk in response.iter_bytes(prefetch.CHUNK):
                    size += file.write(chunk)
                    for hasher in hashers.values():
                        hasher.update(chunk)
        except DownloadError as error:
            raise DownloadError(f"{path.name}: {error}", error.status) from error
        for kind, stated in hashes.items():
            if kind in hashers and hashers[kind].hexdigest() != stated:
                raise DownloadError(f"its {kind} is {hashers[kind].hexdigest()} instead of {stated}")
        return size, hashers["sha256"].hexdigest()

    def _read(self, url: str, headers: Mapping[str, str]) -> bytes:
        with prefetch.get(self._client, url, headers) as response:
            return response.read()

    def _asks_is_own(self, index: str) -> bool:
        """Whether `index` is one of uploads."""
        url = f"{urljoin(self._wanted.index_url, '/')}{index}?no_projects="
        found = json.loads(self._read(url, {"Accept": "application/json"}))
        return bool(found["result"]["type"] != "mirror")

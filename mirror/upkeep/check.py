"""Check all that a mirror stores, while it serves: files by their hashes, devpi's records, rendered pages.

Who deletes or uploads meanwhile makes a look wrong: what is found is looked at once more.
"""

import gzip
import hashlib
import json
import os
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mirror.api import Api
from mirror.state import Folder
from packhorse import files

CHUNK = 2**20
LARGEST = 4 * 2**20  # bytes of METADATA, as mirror/plugin/metadata/wheel.py reads
UNFINISHED = 3600  # seconds after which nobody works on an unfinished file any more
PAGES_AT_ONCE = 50
FETCH, QUARANTINE, REMOVE, RENDER = "download again", "quarantine", "remove", "render again"
_TEMPORARY = "-tmp"  # devpi is about to rename what ends so (filestore_fs_base.py, tmpsuffix_for_path)
_PAGE = re.compile(r"(?:fresh|stale)/([^/]+)/([^/]+/.+?)(\.(?:json|html)\.gz)")
_PROVENANCE = re.compile("[0-9a-f]{64}[.][0-9a-f]{64}")  # of a file's content, and of its name
Record = Mapping[str, Any]  # of a file: path, cached, hashes, quarantined, pinned


@dataclass(frozen=True)
class Problem:
    """A problem at `path` below devpi's server folder, and its repair; None: nothing here repairs it."""

    path: str
    kind: str  # damaged, missing, orphan, leftover, untrue
    text: str
    repair: str | None


Look = Callable[[], list[Problem]]


class Check:
    """The looks at all that one mirror stores."""

    def __init__(self, folder: Folder, api: Api) -> None:
        self._server = folder.server
        self._api = api
        self._records: dict[str, Record] = {}
        self._mirrors: tuple[str, ...] = ()

    def looks(self) -> list[Look]:
        """One for each thing that is stored. Raises PackhorseError."""
        rendered = list(self._rendered())
        # Records after files: devpi gives a file its name when the record is there.
        found = _files(self._server / "+files")
        self._read_records()
        recorded = [self._server / "+files" / path for path in self._records]
        return [
            *(partial(self._read, self._file, path) for path in dict.fromkeys([*found, *recorded])),
            *self._metadata(),
            *(partial(self._read, self._upstream_page, path) for path in _files(self._server / "+upstream")),
            *(partial(self._read, self._download, path) for path in _files(self._server / "+downloads")),
            *(partial(self._read, self._provenance, path) for path in _files(self._server / "+provenance")),
            *(
                partial(self._pages, rendered[start : start + PAGES_AT_ONCE])
                for start in range(0, len(rendered), PAGES_AT_ONCE)
            ),
        ]

    def run(self, looks: Iterable[Look], step: Callable[[], None]) -> list[Problem]:
        """The problems that two looks find; `step` is called after each first one. Raises PackhorseError."""

        def first(look: Look) -> Look | None:
            return look if look() else None

        suspicious = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for look in pool.map(first, looks):
                step()
                suspicious += [look] if look else []
        if suspicious:
            self._read_records()
        return [problem for look in suspicious for problem in look()]

    def _read_records(self) -> None:
        answer = self._api.call("GET", "/+stored-files")
        self._records = {record["path"]: record for record in answer["files"]}
        self._mirrors = tuple(f"{index}/" for index in answer["mirrors"])

    def _read(
        self, look: Callable[..., list[Problem]], path: Path, *facts: str | Path | None
    ) -> list[Problem]:
        """The problem that `look` finds at `path`: the disk may fail, and the file may go meanwhile."""
        try:
            return look(path, *facts)
        except FileNotFoundError:
            return []
        except OSError as error:
            return [self._damaged(path, f"cannot be read: {error.strerror}")]

    def _damaged(self, path: Path, text: str) -> Problem:
        place = str(path.relative_to(self._server))
        name = place.removeprefix("+files/")
        if name == place:
            return Problem(place, "damaged", text, REMOVE)
        again = FETCH if name in self._records else REMOVE
        return Problem(place, "damaged", text, again if name.startswith(self._mirrors) else QUARANTINE)

    def _file(self, stored: Path) -> list[Problem]:
        """The file that devpi keeps, or should."""
        path = str(stored.relative_to(self._server / "+files"))
        record, cached = self._records.get(path), path.startswith(self._mirrors)
        if record is None:
            return self._without_record(path, stored, cached=cached)
        try:
            wrong = _wrong_hash(stored, record["hashes"], record["pinned"])
        except (FileNotFoundError, NotADirectoryError):
            if record["quarantined"]:
                return [_problem("missing", path, f"is in quarantine since {record['quarantined']}", None)]
            text = "a cached file that is not here" if cached else "an upload that is not here"
            return [_problem("missing", path, text, FETCH if cached else None)]
        return [self._damaged(stored, wrong)] if wrong else []

    def _without_record(self, path: str, stored: Path, *, cached: bool) -> list[Problem]:
        repair = REMOVE if cached else QUARANTINE
        age = _age(stored)
        if not stored.name.endswith(_TEMPORARY):
            return [_problem("orphan", path, "devpi has no record of it", repair)]
        return [] if age < UNFINISHED else [_problem("leftover", path, "was never finished", repair)]

    def _metadata(self) -> Iterator[Look]:
        """Metadata files, named as mirror/plugin/metadata/store.py does it."""
        wheels = {
            (_index(path), value): path
            for path, record in self._records.items()
            for kind, value in record["hashes"].items()
            if kind == "sha256" and path.endswith(".whl")
        }
        known: dict[tuple[str, str], tuple[str, Path | None]] = {}
        folder = self._server / "+metadata"
        for path in _files(folder / "by-index"):
            key, _, sha256 = path.name.rpartition(".")
            index = _index(path.relative_to(folder / "by-index").as_posix())
            if len(sha256) == 64:  # else a mark: this wheel has none
                wheel = wheels.get((index, key))
                of_wheel = self._server / "+files" / wheel if wheel else None
                known[index, key[:16]] = sha256, of_wheel
                yield partial(self._read, self._metadata_file, path, sha256, of_wheel)
        for path in _files(folder / "by-address"):
            index = _index(path.relative_to(folder / "by-address").as_posix())
            sha256, of_wheel = known.get((index, path.parent.name + path.name), ("", None))
            yield partial(self._read, self._metadata_file, path, sha256, of_wheel)

    def _metadata_file(self, path: Path, sha256: str, wheel: Path | None) -> list[Problem]:
        """The metadata file at `path`; `wheel`: where its wheel is, if that is here."""
        wrong = _wrong_hash(path, {"sha256": sha256}, None)
        if not wrong and wheel and sha256 not in _metadata_of(wheel, sha256):
            wrong = "is not what the wheel says"
        return [self._damaged(path, wrong)] if wrong else []

    def _upstream_page(self, path: Path) -> list[Problem]:
        """The page of an upstream, as mirror/plugin/upstream/page_cache.py stores it."""
        if path.name.startswith("%") or _is_whole(path.read_bytes()):
            return []
        return [self._damaged(path, "does not match its checksum")]

    def _download(self, path: Path) -> list[Problem]:
        """A download (mirror/plugin/files/downloads.py), which is locked while it goes on."""
        if _age(path) < UNFINISHED:
            return []
        with files.open_unnoticed(path) as file:
            if not files.try_flock(file.fileno()):
                return []
        return [Problem(str(path.relative_to(self._server)), "leftover", "was never finished", REMOVE)]

    def _provenance(self, path: Path) -> list[Problem]:
        """A provenance object (mirror/plugin/evidence/provenance_objects.py), whatever it proves."""
        place = str(path.relative_to(self._server))
        if f"{unquote(path.parent.name)}/" not in self._mirrors:
            return [Problem(place, "orphan", "no index of this name caches files", REMOVE)]
        if path.name.startswith("."):
            is_left = _age(path) >= UNFINISHED
            return [Problem(place, "leftover", "was never finished", REMOVE)] if is_left else []
        if not _PROVENANCE.fullmatch(path.name):
            return [Problem(place, "orphan", "is of no file: nothing reads it", REMOVE)]
        try:
            json.loads(path.read_bytes())["attestation_bundles"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return [self._damaged(path, "is no provenance object")]
        return []

    def _rendered(self) -> Iterator[tuple[str, str, str]]:
        """Index, project and ending of each page that is stored as it is shown."""
        root = self._server / "+pages"
        found = (_PAGE.fullmatch(str(path.relative_to(root))) for path in _files(root))
        yield from dict.fromkeys((each[2], each[1], each[3]) for each in found if each)

    def _pages(self, pages: Sequence[tuple[str, str, str]]) -> list[Problem]:
        """Rendered pages; the server compares each with what it would render now."""
        return [
            Problem(f"+pages/{project}/{index}{ending}", "untrue", "shows something else than is so", RENDER)
            for index, project, ending in self._api.call("GET", "/+stored-pages", pages)
        ]


def _problem(kind: str, path: str, text: str, repair: str | None) -> Problem:
    return Problem(f"+files/{path}", kind, text, repair)


def _index(path: str) -> str:
    """The index of "user/index/…"."""
    return "/".join(path.split("/", 2)[:2])


def _metadata_of(wheel: Path, unknown: str) -> set[str]:
    """sha256 of each METADATA in a wheel; `unknown` for a wheel that cannot be read, or is not here."""
    try:
        with files.open_unnoticed(wheel) as file, zipfile.ZipFile(file) as archive:
            names = [each for each in archive.infolist() if each.filename.endswith(".dist-info/METADATA")]
            return {
                hashlib.sha256(archive.read(each)).hexdigest() for each in names if each.file_size < LARGEST
            }
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, LookupError, RuntimeError, ValueError):
        return {unknown}


def _files(folder: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]


def _is_whole(content: bytes) -> bool:
    if content.startswith(b"\x1f\x8b"):
        try:
            gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return False
        return True
    head, _, text = content.partition(b"\n")
    return head == b"%d %d" % (len(text), zlib.crc32(text))


def _age(path: Path) -> float:
    """Seconds since a file was written last."""
    return time.time() - path.stat().st_mtime


def _wrong_hash(path: Path, hashes: Mapping[str, str], pinned: str | None) -> str:
    """A problem of the content of a file, "" when there is none."""
    kind = "sha256" if pinned or "sha256" in hashes else next(iter(hashes), "sha256")
    wanted = {pinned} if pinned else {hashes[kind]} if kind in hashes else set()
    with files.open_unnoticed(path) as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    return "" if not wanted or found in wanted else f"its {kind} is {found} instead of {wanted.pop()}"

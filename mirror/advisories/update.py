"""Replace the file of known vulnerabilities by an OSV export: a zip, a folder of JSON, or an https URL."""

import contextlib
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin

from mirror.advisories import database, osv
from mirror.advisories.database import About, Database
from packhorse import settings
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    import httpx

    from mirror.advisories.matching import Advisory

LARGEST_DOWNLOAD = 2**29  # bytes; the export had some 40 MB in 2026
LARGEST_UNPACKED = 2**30
MOST_RECORDS = 1_000_000
MOST_STATED = 2_000_000  # aliases, versions and events of all advisories: each takes some hundred bytes here
MOST_UNREADABLE = 0.01  # of all records
_REDIRECTS = 5
_SILENCE = 60.0  # seconds
_EXPORT = "Name OSV's export of the ecosystem PyPI: all.zip, or the folder that it was unpacked into."


@dataclass(frozen=True)
class Updated:
    """Result of an update: facts of the new file and of the one `before`; names of `unreadable` records."""

    about: About
    before: About | None
    unreadable: list[str]


def update(source: str, path: Path, now: datetime, download: Callable[[str, IO[bytes]], None]) -> Updated:
    """Replace the file at `path` by the advisories in `source`, a path or a URL, of which nothing is trusted.

    Raises PackhorseError, and leaves the old file: for what is no export, for one of which too many records
    cannot be read, and for one with less than half of what there was, as a part of an export has.
    """
    collected = _Collected(now)
    for name, content in _records(source, download):
        collected.add(name, content)
        if collected.stated > MOST_STATED:
            raise PackhorseError(
                f"{shown(source)} has more than {MOST_STATED} aliases, versions and events.", _EXPORT
            )
    if len(collected.unreadable) > MOST_UNREADABLE * collected.records:
        raise PackhorseError(
            f"{shown(source)}: {len(collected.unreadable)} of {collected.records} records cannot be read.",
            _EXPORT,
            detail="\n".join(collected.unreadable[:20]),
        )
    if not collected.advisories:
        raise PackhorseError(f"{shown(source)}: there is no advisory of a PyPI project in it.", _EXPORT)
    before = _before(path)
    if before and collected.records_used < before.advisories / 2:
        raise PackhorseError(
            f"{shown(source)} has {collected.records_used} advisories, not {before.advisories}: a part?",
            f"{_EXPORT} If it is right so, remove {path} first.",
        )
    about = database.write(path, collected.advisories, collected.newest)
    return Updated(about, before, collected.unreadable)


class _Collected:
    """The advisories of the records so far, by project."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._ids: set[str] = set()
        self.advisories: dict[str, list[Advisory]] = {}
        self.stated = 0
        self.unreadable: list[str] = []
        self.records = 0
        self.newest = datetime.fromtimestamp(0, UTC)

    @property
    def records_used(self) -> int:
        return len(self._ids)

    def add(self, name: str, content: bytes) -> None:
        self.records += 1
        try:
            modified, found = osv.parse(content)
        except osv.InvalidRecordError as error:
            self.unreadable.append(f"{name[:200]}: {error}")
            return
        for project, advisory in found.items():
            self._ids.add(advisory.id)
            self.stated += len(advisory.aliases) + len(advisory.versions) + sum(map(len, advisory.ranges))
            self.advisories.setdefault(project, []).append(advisory)
        with contextlib.suppress(ValueError):
            time = datetime.fromisoformat(modified)
            if time.tzinfo and time <= self._now:  # one of tomorrow would hide that all others are old
                self.newest = max(self.newest, time)


def _before(path: Path) -> About | None:
    with contextlib.suppress(PackhorseError):
        return Database(path).about()
    return None


def _records(source: str, download: Callable[[str, IO[bytes]], None]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each JSON file, read no further than to one byte more than is allowed."""
    if re.match(r"https?:", source, re.IGNORECASE):
        with tempfile.TemporaryFile() as file:
            download(source, file)
            yield from _of_zip(source, file)
    elif (path := Path(source)).is_dir():
        yield from _of_folder(path)
    else:
        if not path.is_file():
            raise PackhorseError(f"{source}: there is no such file or folder.", _EXPORT)
        with path.open("rb") as archive:
            yield from _of_zip(source, archive)


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*.json")):
        if path.is_file():
            with path.open("rb") as file:
                yield str(path.relative_to(folder)), file.read(osv.LARGEST + 1)


def _of_zip(source: str, file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    left = LARGEST_UNPACKED
    try:
        with zipfile.ZipFile(file) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".json")]
            if len(members) > MOST_RECORDS:
                raise PackhorseError(f"{shown(source)} has {len(members)} files.", _EXPORT)
            for member in members:
                with archive.open(member) as content:
                    found = content.read(osv.LARGEST + 1)  # not what the archive says of its size
                left -= len(found)
                if left < 0:
                    raise PackhorseError(
                        f"{shown(source)} unpacks to more than {LARGEST_UNPACKED} bytes.", _EXPORT
                    )
                yield member.filename, found
    # What zipfile and its decompressors raise for bytes that are no archive.
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, LookupError) as error:
        raise PackhorseError(
            f"{shown(source)} is no zip archive, or a broken one: {error}", _EXPORT
        ) from error


def refuse_login(source: str) -> None:
    """Raise PackhorseError for a URL with a password, which process lists and errors would show."""
    if re.match(r"[a-z]+://[^/?#]*@", source, re.IGNORECASE):
        raise PackhorseError(
            "The address has a user or a password in it.",
            "Download it with a program that keeps them, and name the file.",
        )


def shown(source: str) -> str:
    """`source` as messages show it: queries of addresses may be signatures that open a door."""
    return source.partition("?")[0] if "://" in source else source


def over_network(url: str, file: IO[bytes], trust_store: str | None) -> None:
    """Download `url` into `file`, over https only, also after redirects. Raises PackhorseError."""
    import ssl

    import httpx

    hint = "Check the address and the line, or download it elsewhere and name the file."
    verify = ssl.create_default_context(cafile=trust_store)
    try:
        with httpx.Client(verify=verify, timeout=_SILENCE) as client:
            for _ in range(_REDIRECTS):
                if settings.is_cleartext(url) or not re.match(r"https?://", url):
                    raise PackhorseError(
                        f"{shown(url)}: over plain HTTP, who is on the way can remove advisories.",
                        "Name an address that begins with https://.",
                    )
                with client.stream("GET", url) as answer:
                    if not answer.has_redirect_location:
                        _save(url, answer, file)
                        return
                    url = urljoin(url, answer.headers["location"])
            raise PackhorseError(f"{shown(url)}: more than {_REDIRECTS} redirects.", hint)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise PackhorseError(f"{shown(url)}: {str(error) or type(error).__name__}", hint) from error


def _save(url: str, answer: "httpx.Response", file: IO[bytes]) -> None:
    if answer.status_code != 200:
        raise PackhorseError(f"{shown(url)} answered {answer.status_code}.", "Check the address.")
    size = 0
    for piece in answer.iter_bytes(2**16):
        size += len(piece)
        if size > LARGEST_DOWNLOAD:
            raise PackhorseError(f"{shown(url)} sends more than {LARGEST_DOWNLOAD} bytes.", _EXPORT)
        file.write(piece)

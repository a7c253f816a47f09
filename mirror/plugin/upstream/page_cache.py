"""Cache of upstream project pages, as files with a checksum; a damaged one counts as missing.

Not in devpi's database: a page of a popular project has thousands of files, is written again whenever
one is added, and can be asked for again whenever it is lost. A first install through a new mirror
spent half of its time in that database.

    <user>%2F<index>/<project>    detail.as_text, compressed with gzip, which has a checksum
"""

import contextlib
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from mirror.plugin import gzip_bytes, read_cache
from mirror.plugin.read_cache import FileVersion, ReadCache
from mirror.plugin.simple import detail, file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows, Summary

# Bytes of pages in memory: what was fetched is shown next, and a resolver tries one version after another.
REMEMBERED = 24 * 1024 * 1024
NAME = 100  # bytes of a file's name as an object
FOUND = 10_000  # files in memory: who asks for one has asked for its metadata before
LONGEST_WRITE = 3600  # seconds
_SCRATCH = "%"  # what no quoted name begins with that a project or an index may have

Changing = Callable[[Iterable[str]], AbstractContextManager[None]]


@dataclass(frozen=True)
class PageInfo:
    """Facts about a page itself: where it came from, and when."""

    page: str  # the URL that was asked for
    fetched: int  # seconds since the epoch
    etag: str | None
    serial: int  # of the public index; -1 without


@dataclass(frozen=True)
class CachedPage:
    """A page that was read once."""

    detail: ProjectDetail
    about: PageInfo

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, but for some: texts, and the names of files (Rows.summary)."""
        rows = file_rows.rows(self.detail.files)
        return len(rows.text) + len(rows.origins) + NAME * len(rows)


class PageCache:
    """The pages of all mirror indexes of one server folder; several processes may share it."""

    def __init__(self, folder: Path, changing: Changing, remembered: int = REMEMBERED) -> None:
        """`changing` surrounds each change of a project: what is rendered of it is taken away."""
        self._folder = folder
        self._changing = changing
        self._recent: ReadCache[CachedPage] = ReadCache(remembered)
        self._found: ReadCache[ProjectFile] = ReadCache(FOUND)
        folder.mkdir(mode=0o700, exist_ok=True)  # nginx may enter what it lies in
        for leftover in folder.glob(f"{_SCRATCH}*"):  # of one that was killed
            with contextlib.suppress(FileNotFoundError):  # another process has just put it in its place
                if time.time() - leftover.stat().st_mtime > LONGEST_WRITE:
                    leftover.unlink()

    def token(self, index: str, project: str) -> FileVersion | None:
        """Return the version of the stored page, None without one."""
        return read_cache.file_version(self._path(index, project))

    def read(self, index: str, project: str) -> CachedPage | None:
        """The page of a normalised project on an index "user/name"; None without one that is whole."""
        path = self._path(index, project)
        token = read_cache.file_version(path)
        if token is None:
            return None
        if known := self._recent.get(str(path), token):
            return known
        token, content = _content(path)
        known = decode(project, content)
        if token and known:
            self._recent.put(str(path), token, known.size, known)
        return known

    def find(self, project: str, file_path: str) -> ProjectFile | None:
        """Find the file at `file_path`, "user/name/+f/abc/…/demo-1.0.zip", on the page of a project."""
        user, name = file_path.split("/")[:2]
        token = self.token(f"{user}/{name}", project)
        found = self._found.get(file_path, token) if token else None
        if token is None or found:
            return found
        known = self.read(f"{user}/{name}", project)
        file = file_rows.rows(known.detail.files).find(file_path) if known else None
        if file:
            self._found.put(file_path, token, 1, file)
        return file

    def write(self, index: str, known: CachedPage, content: bytes) -> None:
        """Store a page, which `encode` made `content` of, in place of the one before. Raises OSError."""
        path = self._path(index, known.detail.name)
        path.parent.mkdir(exist_ok=True)
        scratch = self._folder / f"{_SCRATCH}{secrets.token_hex(8)}"
        try:
            scratch.write_bytes(content)
            token = read_cache.version_of_stat(scratch.stat())  # which it keeps
            with self._changing([known.detail.name]):
                scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        self._recent.put(str(path), token, known.size, known)

    def changed(self, project: str) -> None:
        """Drop the rendered pages of a project; its upstream pages stay."""
        with self._changing([project]):
            pass

    def remove(self, index: str, project: str) -> None:
        """Forget a page."""
        with self._changing([project]):
            self._path(index, project).unlink(missing_ok=True)

    def forget_file(self, index: str, project: str, filename: str) -> None:
        """Forget one file of a page, and the ETag: the upstream's next answer tells the file anew.

        What it says of the others goes on to be compared with what is known of them. Raises OSError.
        """
        known = self.read(index, project)
        pairs = file_rows.rows(known.detail.files).pairs() if known else []
        name = json.dumps(filename)[1:-1]
        left = [pair for pair in pairs if file_rows.filename_of(pair[0]) != name]
        if known and left:
            others = replace(
                known,
                detail=detail.with_files(known.detail, Rows.of(left)),
                about=replace(known.about, etag=None),
            )
            self.write(index, others, encode(others))
        else:  # a page without files would say that there are none
            self.remove(index, project)

    def remove_index(self, index: str) -> None:
        """Forget all pages of an index."""
        shutil.rmtree(self._folder / quote(index, ""), ignore_errors=True)

    def projects(self, index: str) -> list[str]:
        """The projects of an index that have a page."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(unquote(path.name) for path in (self._folder / quote(index, "")).iterdir())
        return []

    def _path(self, index: str, project: str) -> Path:
        return read_cache.project_file(self._folder, index, project)


def encode(known: CachedPage) -> bytes:
    """A page as it is stored."""
    return gzip_bytes.compress(detail.as_text(known.detail, vars(known.about)).encode("ascii"))


def decode(project: str, content: bytes) -> CachedPage | None:
    """The page of which `content` was made; None when that is not all there."""
    found = detail.from_text(project, _text(content).decode("ascii"))
    return CachedPage(found[0], PageInfo(**found[1])) if found else None


def decode_new(project: str, content: bytes, summary: Summary) -> CachedPage:
    """Decode what `encode` has just made, in whatever process of ours, with its files' summary.

    Raises ValueError.
    """
    known = decode(project, content)
    if known is None:
        raise ValueError(project)
    rows = file_rows.rows(known.detail.files)
    return replace(known, detail=detail.with_files(known.detail, Rows(rows.text, rows.origins, summary)))


def _content(path: Path) -> tuple[FileVersion | None, bytes]:
    try:
        with path.open("rb") as file:
            return read_cache.version_of_stat(os.fstat(file.fileno())), file.read()
    except FileNotFoundError:
        return None, b""


def _text(content: bytes) -> bytes:
    """The content of a compressed page; nothing when it is not whole: a power cut may have left any part.

    Earlier versions stored it as it is, after a line with its length and checksum.
    """
    if content.startswith(gzip_bytes.MAGIC):
        try:
            return gzip_bytes.decompress(content)
        except gzip_bytes.CorruptError:
            return b""
    head, _, text = content.partition(b"\n")
    return text if head == b"%d %d" % (len(text), zlib.crc32(text)) else b""

"""Store rendered pages as files, and remove them before a write that changes them is answered.

    fresh/<project>/<user>/<index>.json.gz .html.gz
          what nginx may serve at any time
    stale/<project>/…
          true too, as far as is known here: for when the upstream, or devpi, does not answer
    open/<user>/<index>/
          what nginx may serve of files and metadata, as links; pages/open_files.py makes them
    allowed/<project>/…
          where those links lead that hold until something about the project changes
    granted/<secret>/
          the same four folders, of indexes that are not for everybody. nginx learns the secret from
          devpi-server, for a login that may read (pages/grant_view.py). All logins, rights and tokens are in
          keys of devpi's that concern all projects: who loses one has an old secret, and finds nothing
    lock  held while pages appear and while writes commit

Nothing here is fsynced: the folders are emptied at every start. A kill -9 at any line leaves pages
that were true, because a writer removes them before it commits, under the same lock under which a
page appears only if nothing that it was made from has changed since.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import secrets
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mirror.plugin import read_cache
from mirror.plugin.read_cache import ReadCache

FRESH, STALE, LOCK, SCRATCH = "fresh", "stale", "lock", "scratch"
OPEN, ALLOWED, GRANTED = "open", "allowed", "granted"
KINDS = (".json.gz", ".html.gz")  # nearly every client takes gzip; for others it is decompressed
REMEMBERED = 8 * 1024 * 1024  # bytes of pages in memory, of which none is LARGE: reading takes longest then
LARGE = 128 * 1024
# Names that are safe as parts of a path; pages of others are rendered anew each time.
_INDEX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*")
_PROJECT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLOTS = 4096  # of the lock file's 8 bytes each: the last mtime of a page


@dataclass(frozen=True)
class PageKey:
    """The page of a project on an index."""

    index: str  # "user/name"
    project: str  # normalised

    @property
    def path(self) -> Path | None:
        """Path relative to fresh/ and stale/, without the suffix."""
        return _path(self.index, self.project)


@lru_cache(maxsize=1024)
def _path(index: str, project: str) -> Path | None:
    safe = _INDEX.fullmatch(index) and _PROJECT.fullmatch(project)
    return Path(project, index) if safe else None


@dataclass(frozen=True)
class StoredPage:
    """One form of a page, compressed with gzip."""

    content: bytes
    mtime: int

    @property
    def etag(self) -> str:
        """ETag as nginx makes it from a file, so that a client may be answered by either."""
        return f'"{self.mtime:x}-{len(self.content):x}"'


class Place(NamedTuple):
    """Kind of a stored page: fresh or not; protected, so for readers of its index alone, or not."""

    fresh: bool = False
    protected: bool = False


PUBLIC = Place()


class PageStore:
    """The pages of one server folder; several processes may share it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._lock_path = folder / LOCK
        self._recent: ReadCache[StoredPage] = ReadCache(REMEMBERED)
        self._held = threading.local()  # what a commit sets off in its own thread must not wait for itself
        (folder / SCRATCH).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        with self._locked():
            self._make_folders()

    def empty(self) -> None:
        """Forget all pages: what was true when they were rendered is not known."""
        with self._locked():
            self._drop_all()
        for path in (self._folder / SCRATCH).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def granted(self) -> str:
        """The secret folder. What was committed before this is asked is true of what one finds there."""
        with self._locked():
            return self._granted().name

    def read(self, key: PageKey, kind: str) -> StoredPage | None:
        """The fresh page of this kind (one of KINDS), if it is for everybody."""
        return self._read(f"{self._folder}/{FRESH}/{key.path}{kind}") if key.path else None

    def find(self, key: PageKey, kind: str) -> StoredPage | None:
        """The page, fresh or expired, for a client that may read its index."""
        for folder in (self._folder, self._granted()) if key.path else ():
            for state in (FRESH, STALE):
                if page := self._read(f"{folder}/{state}/{key.path}{kind}"):
                    return page
        return None

    def _read(self, path: str) -> StoredPage | None:
        token = read_cache.file_version(path)
        if token is None:
            return None
        if page := self._recent.get(path, token):
            return page
        try:
            with open(path, "rb") as file:  # noqa: PTH123 (see read_cache.file_version)
                found, content = os.fstat(file.fileno()), file.read()
        except FileNotFoundError:
            return None
        page = StoredPage(content, int(found.st_mtime))
        if len(content) <= LARGE:
            self._recent.put(path, read_cache.version_of_stat(found), len(content), page)
        return page

    def keep(
        self,
        key: PageKey,
        kind: str,
        content: bytes,
        *,
        place: Place = PUBLIC,
        is_true: Callable[[], bool],
    ) -> int:
        """Keep a form of a page, compressed, that is true while no write can interfere.

        Returns the mtime that it has, or would have.
        """
        scratch = self._write(content)
        with self._locked() as lock:
            mtime = self._next_mtime(lock, key)
            if key.path is not None and is_true():
                target = self._root(protected=place.protected) / (FRESH if place.fresh else STALE) / key.path
                self._make_parents(target)
                os.utime(scratch, (mtime, mtime))
                scratch.replace(f"{target}{kind}")
        scratch.unlink(missing_ok=True)
        return mtime

    def move(self, key: PageKey, *, fresh: bool) -> None:
        """Make a stale page fresh, or the reverse; its bytes stay the same."""
        if key.path is None:
            return
        states = (STALE, FRESH) if fresh else (FRESH, STALE)
        with self._locked():
            for root in (self._folder, self._granted()):
                source, target = (root / state / key.path for state in states)
                for kind in KINDS:
                    if Path(f"{source}{kind}").exists():
                        self._make_parents(target)
                        Path(f"{source}{kind}").replace(f"{target}{kind}")

    def remove(self, key: PageKey) -> None:
        """Forget a page."""
        with self._locked():
            for root in (self._folder, self._granted()) if key.path else ():
                for state, kind in itertools.product((FRESH, STALE), KINDS):
                    Path(f"{root}/{state}/{key.path}{kind}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def changing(self, projects: Iterable[str] | None) -> Iterator[None]:
        """Surround a commit that changes `projects` on some index (None: all): first drop their pages."""
        with self._locked():
            if projects is None:
                self._drop_all()
            else:
                roots = self._folder, self._granted()
                for project in filter(_PROJECT.fullmatch, projects):
                    for root, state in itertools.product(roots, (FRESH, STALE, ALLOWED)):
                        self._remove(root / state / project)
            yield

    def is_linked(self, address: str) -> bool:
        """Whether nginx may serve what is at `address` below open/, to all or to those who may read it."""
        return any((root / OPEN / address).exists() for root in (self._folder, self._granted()))

    def link(
        self,
        address: str,
        target: Path,
        project: str | None = None,
        *,
        protected: bool = False,
        is_true: Callable[[], bool],
    ) -> None:
        """Let nginx serve `target` at `address` below open/, until something about `project` changes."""
        with self._locked():
            root = self._root(protected=protected)
            link = root / OPEN / address
            # Through a link to a whole folder, a file itself would be replaced.
            if not is_true() or any(folder.is_symlink() for folder in link.parents):
                return
            if project is not None:
                allowed = root / ALLOWED / project / hashlib.sha256(address.encode()).hexdigest()
                self._make_public(allowed.parent)
                allowed.unlink(missing_ok=True)
                allowed.symlink_to(target)
                target = allowed
            self._make_public(link.parent)
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def _make_public(self, folder: Path) -> None:
        """Make a folder and those it lies in, with permissions for nginx."""
        for each in [*reversed(folder.relative_to(self._folder).parents), folder.relative_to(self._folder)]:
            if not (self._folder / each).exists():
                (self._folder / each).mkdir()
                (self._folder / each).chmod(0o755)

    def _make_parents(self, path: Path) -> None:
        """With permissions for nginx, which runs as another user, whatever the umask."""
        for folder in (path.parent.parent, path.parent):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o755)

    def _drop_all(self) -> None:
        for state in (FRESH, STALE, OPEN, ALLOWED, GRANTED):
            self._remove(self._folder / state)
        self._make_folders()

    def _root(self, *, protected: bool) -> Path:
        return self._granted() if protected else self._folder

    def _granted(self) -> Path:
        """The secret folder; without the lock, one that is about to be made has no pages either."""
        with contextlib.suppress(FileNotFoundError):
            for folder in (self._folder / GRANTED).iterdir():
                return folder
        return self._folder / GRANTED / "none"

    def _make_folders(self) -> None:
        """With permissions for nginx; nobody else can see the name of the secret folder."""
        (self._folder / GRANTED).mkdir(exist_ok=True)
        (self._folder / GRANTED).chmod(0o711)
        if not any((self._folder / GRANTED).iterdir()):
            (self._folder / GRANTED / secrets.token_hex(16)).mkdir()
        for root in (self._folder, self._granted()):
            root.chmod(0o755)
            for folder in (root / FRESH, root / STALE):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)

    def _remove(self, path: Path) -> None:
        """Remove a folder in one step: rename first, delete then."""
        doomed = self._folder / SCRATCH / f"{path.name}.{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            path.replace(doomed)
            shutil.rmtree(doomed)

    def _write(self, content: bytes) -> Path:
        path = self._folder / SCRATCH / secrets.token_hex(8)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(content)
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        held: int | None = getattr(self._held, "descriptor", None)
        if held is not None:
            yield held
            return
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._held.descriptor = descriptor
            yield descriptor
        finally:
            self._held.descriptor = None
            os.close(descriptor)

    def _next_mtime(self, lock: int, key: PageKey) -> int:
        """A second that no earlier page with this key had: nginx's ETag is mtime and size.

        Kept in the lock file, and so over restarts and for all processes; keys that share a slot
        only make each other's times jump.
        """
        offset = 8 * (zlib.crc32(f"{key.index}/{key.project}".encode()) % _SLOTS)
        last = int.from_bytes(os.pread(lock, 8, offset), "big")
        mtime = max(int(self._clock()), last + 1)
        os.pwrite(lock, mtime.to_bytes(8, "big"), offset)
        return mtime

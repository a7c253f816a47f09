"""Files on the mirror's disk: where they are, which are here, and whether they are whole."""

import gzip
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from mirror import indexes as index_plan
from mirror.config import UPSTREAM_INDEX, MirrorConfig
from mirror.lockfiles import lock
from mirror.state import Folder

if TYPE_CHECKING:
    from hashlib import _Hash

BROKEN = "the file that is here is broken"
MEND = "Mend what is broken with `mirror check --repair`"
_CHUNK = 1024 * 1024


def problem(path: Path, hashes: Mapping[str, str], open_file: Callable[[Path], IO[bytes]]) -> str:
    """A problem of the content of a file that is here; "" when there is none."""
    found = hashers(hashes)
    try:
        with open_file(path) as file:
            while chunk := file.read(_CHUNK):
                for hasher in found.values():
                    hasher.update(chunk)
    except OSError as error:
        return f"{path}: {error.strerror}"
    wrong = difference(found, hashes)
    return f"{BROKEN}: {wrong}" if wrong else ""


def unhashed_problem(path: Path) -> str:
    """A problem of a file whose hash nobody knows: its archive should be readable to its end."""
    try:
        if path.suffix in {".whl", ".zip"}:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
            return f"{BROKEN}: {bad}" if bad else ""
        with gzip.open(path) as stream:
            while stream.read(_CHUNK):
                pass
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        return f"{BROKEN}: {error}"
    return ""


def hashers(hashes: Mapping[str, str]) -> "dict[str, _Hash]":
    """A new hash object for each kind of hash that is known here and has one length: SHAKE has any."""
    known = {kind: hashlib.new(kind) for kind in hashes if kind in hashlib.algorithms_guaranteed}
    return {kind: hasher for kind, hasher in known.items() if hasher.digest_size}


def difference(found: "Mapping[str, _Hash]", hashes: Mapping[str, str]) -> str:
    """The first hash that is another than it should be, in words; "" when all agree.

    A hash may be the beginning of one: addresses of files have that.
    """
    for kind, hasher in found.items():
        if not (digest := hasher.hexdigest()).startswith(hashes[kind].lower()):
            return f"its {kind} is {digest} instead of {hashes[kind]}"
    return ""


def indexes(config: MirrorConfig, name: str) -> list[str]:
    """`name` and the indexes that it inherits from, as mirror.toml has them, the nearest first."""
    return index_plan.chain(name, {each: index.bases for each, index in config.indexes.items()})


def caches(config: MirrorConfig, name: str) -> list[str]:
    """The indexes that `name` inherits from and that cache an upstream, whatever mirror.toml says of them."""
    return [base for base in indexes(config, name)[1:] if base == UPSTREAM_INDEX]


class StoredFiles:
    """The files that are here on some indexes. Asks nobody, and does not count as their use."""

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        self._folder = folder
        self._indexes = names

    def of_hash(self, sha256: str) -> list[Path]:
        """The files with this sha256, as their addresses have it."""
        found: list[Path] = []
        for name in self._indexes if re.fullmatch("[0-9a-f]{64}", sha256) else ():
            parent = self._folder.files / name / "+f" / sha256[:3] / sha256[3:16]
            found += _entries(parent)
        return found

    def of_project(self, project: str) -> list[Path]:
        """All files of a project."""
        return self._by_project.get(project, [])

    def all(self) -> list[Path]:
        """All files, each name once: that of the nearest index."""
        by_name: dict[str, Path] = {}
        for paths in self._by_project.values():
            for path in paths:
                by_name.setdefault(path.name, path)
        return list(by_name.values())

    def at(self, url: str) -> Path | None:
        """The file that the mirror serves at `url`: on the index of the address, or on one of these.

        An index with policies of its own serves files of its bases at addresses of its own.
        """
        parts = PurePosixPath(unquote(urlsplit(url).path)).parts[1:]
        if len(parts) < 5 or parts[2] not in {"+f", "+e"} or ".." in parts:
            return None
        names = ("/".join(parts[:2]), *self._indexes)
        places = (self._folder.files.joinpath(name, *parts[2:]) for name in names)
        return next((path for path in places if path.exists()), None)

    def index_of(self, path: Path) -> str:
        """The index that stores the file at `path`."""
        user, index, *_ = path.relative_to(self._folder.files).parts
        return f"{user}/{index}"

    def has_page(self, path: Path, project: str) -> bool:
        """Whether the page that lists the file is here, where an upstream has made it.

        Without it, an installer that asks for the project gets no answer.
        """
        index = self.index_of(path)
        pages = self._folder.server / "+upstream" / quote(index, "")
        return index != UPSTREAM_INDEX or (pages / quote(project, "")).is_file()

    @cached_property
    def _by_project(self) -> Mapping[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for name in self._indexes:
            for parent, _, names in os.walk(self._folder.files / name):
                for each in names:
                    if project := _project(each):
                        found.setdefault(project, []).append(Path(parent, each))
        return found


def stated_hash(path: Path) -> dict[str, str]:
    """The beginning of the sha256 that the address of a file has; nothing for one that was listed without."""
    found = re.search(r"/\+f/([0-9a-f]{3})/([0-9a-f]{13})/[^/]+$", str(path))
    return {"sha256": found[1] + found[2]} if found else {}


def _entries(parent: Path) -> Iterator[Path]:
    try:
        yield from parent.iterdir()
    except OSError:
        return


def _project(filename: str) -> str:
    """The normalised name of the project of a wheel or an sdist, "" for other files."""
    if filename.endswith(".whl"):
        return lock.normalised(filename.partition("-")[0])
    try:
        return parse_sdist_filename(filename)[0]
    except InvalidSdistFilename:
        return ""

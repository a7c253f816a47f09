"""Read the Procfile, lock and build manifest inside a wheel or sdist, without unpacking it to disk."""

import contextlib
import dataclasses
import email
import hashlib
import io
import json
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from packaging import pylock
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from packhorse import metadata_headers, sdists, zips
from packhorse.errors import PackhorseError
from release.host.formats import lockfile, procfile

MANIFEST = "packhorse.json"
FORMAT = 3
KNOWN = (1, 2, FORMAT)  # 1 has neither committer nor wheels, 2 has no files
WHEELS = "packhorse-wheels"
"""Folder beside the stamped files: wheels of what is locked as sdist; in an sdist its own, too."""
FILES = "packhorse-files"
"""Folder beside the stamped files: files of the project that belong into the working directory."""
STAMPED = (procfile.NAME, lockfile.NAME, MANIFEST)
# Hosts read these files whole: the limits keep a malicious artifact from filling their memory.
LARGEST_FILE = 16 * 2**20
LARGEST_WHEEL = 2**29
LARGEST_FILES = 2**27  # all files for the working directory together
LARGEST_STATIC = 2**30  # all static files together
_PATH_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


@dataclasses.dataclass(frozen=True)
class BuildManifest:
    """Origin of an artifact. `commit`, `dirty` and `committer` are None outside a git repository.

    `committer` made that commit. Who built it is not in here: the same commit gives everybody the same bytes.
    `lock_sha256` is empty for a library, which has no lock.
    `wheels`: file name -> sha256 of the wheels inside it, see WHEELS; `files`: the same of paths, see FILES.
    """

    name: str
    version: str
    commit: str | None
    dirty: bool | None
    builder: dict[str, str]
    lock_sha256: str
    requires_python: str | None
    committer: str | None = None
    wheels: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    format: int = FORMAT

    def encode(self) -> bytes:
        """The manifest as a file: the same content always gives the same bytes."""
        return (json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n").encode()


@dataclasses.dataclass(frozen=True)
class Contents:
    """Content of an artifact that a host needs. `processes`: process type -> command, `web` included.

    `name` and `version` are those of its metadata, by which installers and indexes know it.
    """

    manifest: BuildManifest
    processes: dict[str, str]
    lock: pylock.Pylock
    name: str
    version: str


def read(path: Path) -> Contents:
    """Read the stamped files of the wheel or sdist at `path`.

    Raises PackhorseError when it was not made by `release build`, or was changed afterwards.
    """
    with _readable(path):
        return _contents(path)


def _contents(path: Path) -> Contents:
    found: dict[str, bytes] = {}
    metadata = "METADATA" if path.suffix == ".whl" else "PKG-INFO"
    for name, content in _wheel(path) if path.suffix == ".whl" else _sdist(path):
        if name in found:
            raise PackhorseError(f"{path.name}: there are two files {name}.", _AGAIN)
        found[name] = content
    if not found.keys() & {*STAMPED}:
        raise PackhorseError(
            f"{path.name} was not made by release build.",
            f"{_AGAIN}, then upload it: until then an index may show a public project of its name.",
        )
    if MANIFEST in found and procfile.NAME not in found:
        raise PackhorseError(
            f"{path.name} is a library: it was built without a Procfile, so nobody knows what to start.",
            "Write a Procfile, raise the version, then: release build, release upload",
        )
    missing = [name for name in (*STAMPED, metadata) if name not in found]
    if missing:
        raise PackhorseError(f"{path.name}: there is no {' and no '.join(missing)} in it.", _AGAIN)
    manifest = _manifest(found[MANIFEST], path.name)
    if hashlib.sha256(found[lockfile.NAME]).hexdigest() != manifest.lock_sha256:
        raise PackhorseError(f"{path.name}: its {lockfile.NAME} was changed after the build.", _AGAIN)
    where = f"{path.name}: {lockfile.NAME}"
    lock = lockfile.parse(found[lockfile.NAME], where)
    processes = procfile.parse(found[procfile.NAME], f"{path.name}: {procfile.NAME}")
    lockfile.requirements(lock, where)  # refuses what no index can deliver
    core = email.message_from_bytes(metadata_headers.split(found[metadata]).headers)
    return Contents(manifest, processes, lock, str(core["Name"]), str(core["Version"]))


def manifest(path: Path) -> BuildManifest:
    """The manifest of the wheel or sdist at `path`, also of a library, which has neither Procfile nor lock.

    Raises PackhorseError when it was not made by `release build`.
    """
    with _readable(path):
        for name, _, content in _members(path):
            if name == MANIFEST:
                return _manifest(_read(content, f"{path.name}: {name}"), path.name)
    raise PackhorseError(f"{path.name} was not made by release build.", _AGAIN)


def require(contents: Contents, project: str, version: str, filename: str) -> None:
    """Raise PackhorseError unless `filename`, its metadata and its manifest are of `version` of `project`.

    A file name is what somebody called it: the page of an index may list any content under any name.
    """
    expected = (canonicalize_name(project), Version(version))
    for where, name, number in (
        ("metadata", contents.name, contents.version),
        ("manifest", contents.manifest.name, contents.manifest.version),
    ):
        if (canonicalize_name(name), _version(number)) != expected:
            raise PackhorseError(
                f"{filename} is not {project} {version}: its {where} says {name!r} {number!r}.",
                "Find out who uploaded it; build and upload the version anew, under another number.",
            )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def embedded_wheel(path: Path, filename: str) -> bytes:
    """The wheel `filename` inside of the artifact at `path`. Raises PackhorseError when it is not there."""
    with _readable(path):
        for name, _, content in _members(path):
            if name == f"{WHEELS}/{filename}":
                return _read(content, f"{path.name}: {filename}", LARGEST_WHEEL)
    raise PackhorseError(f"{path.name}: its {filename} is missing.", _AGAIN)


@dataclasses.dataclass(frozen=True)
class ProjectFile:
    """A file for the working directory; whether it is a program."""

    content: bytes = dataclasses.field(repr=False)
    executable: bool = False


def project_files(path: Path, expected: Mapping[str, str]) -> Iterator[tuple[str, ProjectFile]]:
    """Path and content of the files (path -> sha256 in its manifest) inside of the artifact at `path`.

    Raises PackhorseError when one is missing, changed, or has a path that leads out of a folder.
    """
    for name in expected:
        if not is_path(name):
            raise PackhorseError(f"{path.name}: {name!r} is not a path inside of a folder.", _AGAIN)
    missing, left = dict(expected), LARGEST_FILES
    with _readable(path):
        for member, executable, file in _members(path) if expected else ():
            name = member.removeprefix(f"{FILES}/")
            if name == member:
                continue
            content = _read(file, f"{path.name}: {FILES}", left)
            left -= len(content)
            if missing.pop(name, "") != hashlib.sha256(content).hexdigest():
                raise PackhorseError(f"{path.name}: its {name!r} was changed after the build.", _AGAIN)
            yield name, ProjectFile(content, executable)
    for name in missing:
        raise PackhorseError(f"{path.name}: its {name!r} is missing.", _AGAIN)


def static_files(wheel: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """Path below `folder` of the wheel, and content, of all files there.

    Raises PackhorseError for links, for paths that lead out of the folder, and for more than LARGEST_STATIC.
    """
    left = LARGEST_STATIC
    with _readable(wheel), zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename.removeprefix(f"{folder}/")
            if name == entry.filename or entry.is_dir():
                continue
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG) or not is_path(name):
                raise PackhorseError(
                    f"{wheel.name}: {entry.filename!r} is no file inside of {folder}.", _AGAIN
                )
            with zips.open_member(archive, entry) as file:
                content = _read(file, f"{wheel.name}: {folder}", left)
            left -= len(content)
            yield name, content


def is_path(text: str) -> bool:
    """Whether `text` is a relative path that stays inside, in the one form that it has."""
    return all(_PATH_PART.fullmatch(part) and part not in (".", "..") for part in text.split("/"))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what archives that are broken or too large raise into one error."""
    try:
        yield
    except _UNREADABLE as error:
        raise PackhorseError(f"{path.name}: this is no readable artifact: {error}", _AGAIN) from error


def _members(path: Path) -> Iterator[tuple[str, bool, IO[bytes]]]:
    """Path beside the stamped files, whether it is a program, and content, of all that lies there."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for entry in wheel.infolist():
                folder, _, name = entry.filename.partition("/")
                if folder.endswith(".dist-info") and not entry.is_dir():
                    with zips.open_member(wheel, entry) as content:
                        yield name, bool(entry.external_attr >> 16 & 0o100), content
    else:
        for member, file in sdists.members(path):
            yield member.name.partition("/")[2], bool(member.mode & 0o100), file


def _wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    """METADATA and the stamped files, which lie in `*.dist-info/` (the wheel's own: it has exactly one)."""
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            folder, _, name = entry.filename.partition("/")
            if folder.endswith(".dist-info") and name in {*STAMPED, "METADATA"}:
                with zips.open_member(wheel, entry) as file:
                    yield name, _read(file, f"{path.name}: {entry.filename}")


def _sdist(path: Path) -> Iterator[tuple[str, bytes]]:
    """PKG-INFO and the stamped files, which lie in the sdist's one root folder."""
    for member, file in sdists.members(path):
        _, _, name = member.name.partition("/")
        if name in {*STAMPED, "PKG-INFO"}:
            yield name, _read(file, f"{path.name}: {member.name}")


def _read(file: IO[bytes], where: str, largest: int = LARGEST_FILE) -> bytes:
    content = io.BytesIO()  # in pieces: tarfile would keep all of them twice
    while piece := file.read(2**20):
        if content.tell() + len(piece) > largest:
            raise PackhorseError(f"{where} is larger than {largest >> 20} MiB.", _AGAIN)
        content.write(piece)
    return content.getvalue()


def _hashes(table: object) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(sha256, str) for sha256 in table.values()):
        raise TypeError("a hash is no text")
    return table


def _manifest(data: bytes, where: str) -> BuildManifest:
    try:
        table: dict[str, Any] = json.loads(data)
        if table["format"] not in KNOWN:
            raise PackhorseError(
                f"{where}: its {MANIFEST} has format {table['format']}, this Packhorse reads 1 to {FORMAT}.",
                "Install a newer Packhorse on this host, or build the artifact with this one.",
            )
        hashes = {key: _hashes(table.get(key, {})) for key in ("wheels", "files")}
        return BuildManifest(**{**table, **hashes})
    except (ValueError, KeyError, TypeError) as error:
        raise PackhorseError(f"{where}: its {MANIFEST} is broken: {error}", _AGAIN) from error


# RuntimeError: what zipfile raises for encrypted entries and for compression methods that it lacks, and
# Python for what is nested too deeply.
_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)
_AGAIN = "Build it with: release build"

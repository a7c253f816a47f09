"""Read the Procfile, lock and build manifest inside a wheel or sdist, without unpacking it to disk."""

import dataclasses
import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from packaging import pylock

from packhorse.errors import PackhorseError
from release.host.formats import lockfile, procfile

MANIFEST = "packhorse.json"
FORMAT = 1
STAMPED = (procfile.NAME, lockfile.NAME, MANIFEST)
# Hosts read these files whole: the limits keep a malicious artifact from filling their memory.
LARGEST_FILE = 16 * 2**20
LARGEST_SDIST = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class BuildManifest:
    """Origin of an artifact. `commit` and `dirty` are None outside a git repository."""

    name: str
    version: str
    commit: str | None
    dirty: bool | None
    builder: dict[str, str]
    lock_sha256: str
    requires_python: str | None
    format: int = FORMAT

    def encode(self) -> bytes:
        """The manifest as a file: the same content always gives the same bytes."""
        return (json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n").encode()


@dataclasses.dataclass(frozen=True)
class Contents:
    """Content of an artifact that a host needs. `processes`: process type -> command, `web` included."""

    manifest: BuildManifest
    processes: dict[str, str]
    lock: pylock.Pylock


def read(path: Path) -> Contents:
    """Read the stamped files of the wheel or sdist at `path`.

    Raises PackhorseError when it was not made by `release build`, or was changed afterwards.
    """
    found: dict[str, bytes] = {}
    try:
        for name, content in _wheel(path) if path.suffix == ".whl" else _sdist(path):
            if name in found:
                raise PackhorseError(f"{path.name}: there are two files {name}.", _AGAIN)
            found[name] = content
    except _UNREADABLE as error:
        raise PackhorseError(f"{path.name}: this is no readable artifact: {error}", _AGAIN) from error
    if not found:
        raise PackhorseError(
            f"{path.name} was not made by release build.",
            f"{_AGAIN}, then upload it: until then an index may show a public project of its name.",
        )
    missing = [name for name in STAMPED if name not in found]
    if missing:
        raise PackhorseError(f"{path.name}: there is no {' and no '.join(missing)} in it.", _AGAIN)
    manifest = _manifest(found[MANIFEST], path.name)
    if hashlib.sha256(found[lockfile.NAME]).hexdigest() != manifest.lock_sha256:
        raise PackhorseError(f"{path.name}: its {lockfile.NAME} was changed after the build.", _AGAIN)
    where = f"{path.name}: {lockfile.NAME}"
    lock = lockfile.parse(found[lockfile.NAME], where)
    processes = procfile.parse(found[procfile.NAME], f"{path.name}: {procfile.NAME}")
    lockfile.requirements(lock, where)  # refuses what no index can deliver
    return Contents(manifest, processes, lock)


def _wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    """The stamped files, which lie in `*.dist-info/` (the wheel's own: it has exactly one)."""
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            folder, _, name = entry.filename.partition("/")
            if folder.endswith(".dist-info") and name in STAMPED:
                with wheel.open(entry) as file:
                    yield name, _read(file, f"{path.name}: {entry.filename}")


def _sdist(path: Path) -> Iterator[tuple[str, bytes]]:
    """The stamped files, which lie in the sdist's one root folder."""
    unpacked = 0
    with tarfile.open(path, "r|gz") as sdist:
        for entry in sdist:
            unpacked += entry.size
            if unpacked > LARGEST_SDIST:
                raise PackhorseError(f"{path.name}: unpacked it has more than 4 GiB.", _AGAIN)
            _, _, name = entry.name.partition("/")
            if name in STAMPED and entry.isreg():
                file = sdist.extractfile(entry)
                if file:
                    yield name, _read(file, f"{path.name}: {entry.name}")


def _read(file: IO[bytes], where: str) -> bytes:
    content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise PackhorseError(f"{where} is larger than 16 MiB.", _AGAIN)
    return content


def _manifest(data: bytes, where: str) -> BuildManifest:
    try:
        table: dict[str, Any] = json.loads(data)
        if table["format"] != FORMAT:
            raise PackhorseError(
                f"{where}: its {MANIFEST} has format {table['format']}, this Packhorse reads {FORMAT}.",
                "Install a newer Packhorse on this host, or build the artifact with this one.",
            )
        return BuildManifest(**table)
    except (ValueError, KeyError, TypeError) as error:
        raise PackhorseError(f"{where}: its {MANIFEST} is broken: {error}", _AGAIN) from error


# RuntimeError: what zipfile raises for encrypted entries and for compression methods that it lacks.
_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)
_AGAIN = "Build it with: release build"

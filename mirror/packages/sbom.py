"""Bill of materials (CycloneDX) of a lock, a wheel or an sdist."""

import hashlib
import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from packaging import pylock

from mirror.lockfiles import environments, reader
from mirror.lockfiles.lock import Pin
from packhorse import sbom, sdists
from packhorse.errors import PackhorseError
from packhorse.sbom import File, Part

LARGEST_MEMBER = 16 * 2**20  # bytes
_LOCK = "pylock.toml"
# What zipfile, tarfile and their decompressors raise for bytes that are no archive.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
)
_HINT = "Name a lock, or a wheel or an sdist, such as `release build` makes."


@dataclass(frozen=True)
class Bill:
    """The document; `complete`: whether the file says what it depends on."""

    content: bytes
    complete: bool


def of_file(path: Path, metadata: Path) -> Bill:
    """The bill of the file at `path`; licenses are added from metadata files that lie in `metadata`.

    That folder is the mirror's (`Folder.metadata`), and need not exist. Raises PackhorseError.
    """
    if path.name.endswith((".whl", ".tar.gz")):
        subject, inside = _artifact(path)
        parts = _parts(inside, f"{path}: {_LOCK}") if inside is not None else []
        return Bill(sbom.document(subject, _licensed(parts, metadata)), inside is not None)
    lock = reader.read(str(path), [environments.anywhere()])
    parts = [_of_pin(pin) for pin in lock.only_pins()]
    parts += [Part(each.project, "") for each in lock.elsewhere]
    return Bill(sbom.document(None, _licensed(parts, metadata)), complete=True)


def _parts(lock: bytes, where: str) -> list[Part]:
    try:
        return sbom.of_lock(pylock.Pylock.from_dict(tomllib.loads(lock.decode())))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, pylock.PylockValidationError) as error:
        raise PackhorseError(f"{where}: {error}", "Make the lock again.") from error


def _of_pin(pin: Pin) -> Part:
    named = [File(file.filename, tuple(sorted(file.hashes))) for file in pin.files]
    unnamed = [File("", (each,)) for each in pin.hashes]
    return Part(pin.project, pin.version, tuple(sorted(named + unnamed)))


def _licensed(parts: Iterable[Part], metadata: Path) -> Iterator[Part]:
    """`parts` with the licenses that the metadata of one of their wheels states, if it is here."""
    for part in parts:
        stated = (text for file in part.files for kind, text in file.hashes if kind == "sha256")
        digests = [text for text in stated if re.fullmatch("[0-9a-f]{64}", text)]
        found = (path for text in digests for path in sorted(metadata.glob(f"*/*/{text[:3]}/{text[3:16]}")))
        here = next(found, None)
        yield replace(part, license=sbom.of_metadata(here.read_bytes()).license) if here else part


def _artifact(path: Path) -> tuple[Part, bytes | None]:
    """Read the metadata inside of a wheel or sdist, and the lock beside it."""
    name = "METADATA" if path.suffix == ".whl" else "PKG-INFO"
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        for member, content in _wheel(path) if path.suffix == ".whl" else _sdist(path):
            if member in (name, _LOCK) and member not in found:
                found[member] = content.read(LARGEST_MEMBER)
        subject = sbom.of_metadata(found[name])
    except _BROKEN as error:
        raise PackhorseError(f"{path}: this is no wheel or sdist that can be read: {error}", _HINT) from error
    return replace(subject, files=(File(path.name, (("sha256", digest),)),)), found.get(_LOCK)


def _wheel(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            folder, _, name = entry.filename.partition("/")
            if folder.endswith(".dist-info") and name in ("METADATA", _LOCK):
                with wheel.open(entry) as content:
                    yield name, content


def _sdist(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for name, content in sdists.members(path):
        yield name.partition("/")[2], content

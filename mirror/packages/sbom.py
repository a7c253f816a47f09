"""Bill of materials (CycloneDX) of a lock, a wheel or an sdist."""

import contextlib
import hashlib
import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from packaging import pylock

from mirror.lockfiles import environments, reader
from mirror.lockfiles.lock import Pin
from mirror.state import Folder
from packhorse import sbom, sdists, toml, zips
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
    packages: int
    unread: int  # packages of which no file and no metadata is here
    unlicensed: int  # packages without a license in the document


def of_file(path: Path, folder: Folder) -> Bill:
    """The bill of the file at `path`, with the licenses that files of the mirror in `folder` state.

    The folder need not exist. Raises PackhorseError.
    """
    subject: Part | None = None
    complete = True
    if path.name.endswith((".whl", ".tar.gz")):
        subject, inside = _artifact(path)
        complete = inside is not None
        parts = [] if inside is None else _parts(inside, f"{path}: {_LOCK}")
    else:
        lock = reader.read(str(path), [environments.anywhere()])
        parts = [_of_pin(pin) for pin in lock.only_pins()]
        parts += [Part(each.project, "") for each in lock.elsewhere]
    known = [(part, _license(part, folder)) for part in parts]
    licensed = [replace(part, license=found or "") for part, found in known]
    return Bill(
        sbom.document(subject, licensed),
        complete,
        packages=len({part.purl for part in parts}),
        unread=len({part.purl for part, found in known if found is None}),
        unlicensed=len({part.purl for part, found in known if not found}),
    )


def unlicensed(bill: Bill, path: Path) -> str:
    """A warning that counts packages without a license in the bill of the file at `path`; "" for none."""
    if not bill.unlicensed:
        return ""
    lock = "LOCK" if path.name.endswith((".whl", ".tar.gz")) else str(path)
    why = f": of {bill.unread} no file is here, `mirror prefetch {lock}` brings them" if bill.unread else ""
    return f"no license is known of {bill.unlicensed} of {bill.packages} packages{why}"


def _parts(lock: bytes, where: str) -> list[Part]:
    try:
        return sbom.of_lock(pylock.Pylock.from_dict(toml.parse(lock.decode())))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, pylock.PylockValidationError) as error:
        raise PackhorseError(f"{where}: {error}", "Make the lock again.") from error


def _of_pin(pin: Pin) -> Part:
    named = [File(file.filename, tuple(sorted(file.hashes))) for file in pin.files]
    unnamed = [File("", (each,)) for each in pin.hashes]
    return Part(pin.project, pin.version, tuple(sorted(named + unnamed)))


def _license(part: Part, folder: Folder) -> str | None:
    """The license that the metadata of one of its files states, "" for none; None: no such file is here."""
    stated = (text for file in part.files for kind, text in file.hashes if kind == "sha256")
    places = [f"{text[:3]}/{text[3:16]}" for text in stated if re.fullmatch("[0-9a-f]{64}", text)]
    for place in places:
        for path in sorted(folder.metadata.glob(f"*/*/{place}")):
            return sbom.of_metadata(path.read_bytes()).license
    for place in places:  # nobody has asked the mirror for the metadata alone
        for path in sorted(folder.files.glob(f"*/*/+f/{place}/*")):
            if path.name.endswith((".whl", ".tar.gz")):
                with contextlib.suppress(PackhorseError):
                    return _artifact(path)[0].license
    return None


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
                with zips.open_member(wheel, entry) as content:
                    yield name, content


def _sdist(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for member, content in sdists.members(path):
        yield member.name.partition("/")[2], content

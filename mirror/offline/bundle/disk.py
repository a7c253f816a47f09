"""Read a bundle from a disk, believing nothing: its listing, and whether its files are the listed ones."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path

from mirror.offline.bundle import listing
from mirror.offline.bundle.listing import (
    ABOUT,
    PAGE,
    PROVENANCE,
    SIMPLE,
    SUMS,
    File,
    Listing,
    NewerFormatError,
    WrongListingError,
)
from packhorse import files
from packhorse.errors import PackhorseError

MOST = 64_000_000  # bytes of a text file
LARGEST_PROVENANCE = 1_000_000  # bytes, as mirror/plugin/evidence/verifier.py has it
CHUNK = 256 * 1024


def is_bundle(folder: Path) -> bool:
    """Whether something in `folder` says that it is a bundle."""
    return (folder / ABOUT).is_file()


def read(folder: Path) -> Listing:
    """The listing of the bundle in `folder`, all of whose text files are as ours would be.

    Raises PackhorseError.
    """
    if not is_bundle(folder):
        raise PackhorseError(
            f"{folder} is not a bundle: there is no {ABOUT} in it.",
            "Name a folder that `mirror bundle create` or `update` has made.",
        )
    try:
        pages = {name: _text(folder, f"{SIMPLE}/{name}/{PAGE}") for name in _projects(folder)}
        found = listing.read(_text(folder, ABOUT), pages)
        _compare(folder, listing.texts(found))
    except NewerFormatError as error:
        raise PackhorseError(
            f"{folder} has the format {error} of bundles, and this version reads {listing.FORMAT} at most.",
            "Load it with the version of Packhorse that made it, or make it anew with this one.",
        ) from error
    except WrongListingError as error:
        raise PackhorseError(
            f"{folder} is not as `mirror bundle` makes it: {error}.",
            "It was changed, or damaged on the way: copy it again, or make it anew with this version.",
        ) from error
    return found


def _compare(folder: Path, texts: Mapping[str, bytes]) -> None:
    for path, content in texts.items():
        if _text(folder, path) != content:
            raise WrongListingError(f"{path} does not say what the other pages say")


def fingerprint(folder: Path) -> str:
    """The sha256 of the checksums: who compares it knows that each byte of a bundle is what was made."""
    return hashlib.sha256(_text(folder, SUMS)).hexdigest()


def problem(folder: Path, file: File) -> str:
    """A problem of a listed file on the disk, "" when it is the one that is meant."""
    for path, sha256 in file.paths.items():
        content = open_regular(folder, path)
        if content is None:
            return f"{path} is missing, or no regular file"
        with content:
            if path.endswith(file.filename) and os.fstat(content.fileno()).st_size != file.size:
                return f"{path} has another size than its page says"
            if path.startswith(f"{PROVENANCE}/") and os.fstat(content.fileno()).st_size > LARGEST_PROVENANCE:
                return f"{path} has more than {LARGEST_PROVENANCE} bytes"
            if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                return f"{path} has another content than its page says"
    return ""


def open_regular(folder: Path, path: str) -> BufferedReader | None:
    """Open a regular file below `folder`; None when there is none, or a link leads to it."""
    inner = Path(path)
    if any((folder / parent).is_symlink() for parent in inner.parents if parent != Path()):
        return None
    descriptor = files.open_regular(folder / inner)
    return None if descriptor is None else os.fdopen(descriptor, "rb")


def _projects(folder: Path) -> Iterator[str]:
    try:
        for path in sorted((folder / SIMPLE).iterdir()):
            if stat.S_ISDIR(path.lstat().st_mode):
                yield path.name
    except OSError as error:
        raise WrongListingError(f"{SIMPLE}: {error.strerror}") from error


def _text(folder: Path, path: str) -> bytes:
    content = open_regular(folder, path)
    if content is None:
        raise WrongListingError(f"{path} is missing, or no regular file")
    with content:
        found = content.read(MOST + 1)
    if len(found) > MOST:
        raise WrongListingError(f"{path} is larger than {MOST} bytes")
    return found

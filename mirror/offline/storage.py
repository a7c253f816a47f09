"""Files on the mirror's disk: where they are, and whether they are whole."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mirror.state import Folder

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 1024 * 1024


def path_of(folder: Folder, url: str) -> Path | None:
    """Where the mirror stores what it serves at `url`, if it is the address of a file."""
    parts = PurePosixPath(unquote(urlsplit(url).path)).parts[1:]
    if len(parts) < 5 or parts[2] not in {"+f", "+e"} or ".." in parts:
        return None
    return folder.files.joinpath(*parts)


def problem(path: Path, hashes: Mapping[str, str]) -> str:
    """What is wrong with the content of a file that is here; "" when nothing is."""
    found = hashers(hashes)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                for hasher in found.values():
                    hasher.update(chunk)
    except OSError as error:
        return f"{path}: {error.strerror}"
    wrong = difference(found, hashes)
    return f"the file that is here is broken: {wrong}" if wrong else ""


def hashers(hashes: Mapping[str, str]) -> "dict[str, _Hash]":
    """A new hash object for each kind of hash that is known here."""
    return {kind: hashlib.new(kind) for kind in hashes if kind in hashlib.algorithms_guaranteed}


def difference(found: "Mapping[str, _Hash]", hashes: Mapping[str, str]) -> str:
    """The first hash that is another than it should be, in words; "" when all agree."""
    for kind, hasher in found.items():
        if (digest := hasher.hexdigest()) != hashes[kind].lower():
            return f"its {kind} is {digest} instead of {hashes[kind]}"
    return ""

"""Compare an upload with the digests that its form states (the legacy upload API of Warehouse)."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO

CHUNK = 256 * 1024
FIELDS: Mapping[str, Callable[[], Any]] = {
    "md5_digest": partial(hashlib.md5, usedforsecurity=False),
    "sha256_digest": hashlib.sha256,
    "blake2_256_digest": partial(hashlib.blake2b, digest_size=32),
}


def wrong(form: Mapping[str, Any], file: BinaryIO) -> list[str]:
    """The digest fields of `form` that `file` does not have. `file` is at its beginning afterwards."""
    stated = {name: str(form[name]).strip().lower() for name in FIELDS if form.get(name)}
    hashers = {name: FIELDS[name]() for name in stated}
    file.seek(0)
    while hashers and (chunk := file.read(CHUNK)):
        for hasher in hashers.values():
            hasher.update(chunk)
    file.seek(0)
    return [name for name, hasher in hashers.items() if hasher.hexdigest() != stated[name]]

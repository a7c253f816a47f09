"""Signature inside an artifact: the comment of a wheel's zip file, or of a last gzip member of an sdist.

So it is wherever the file is: on any index, promoted, mirrored, in a backup. It covers the file's name and
the hash of all other bytes; ssh-keygen makes and verifies it (PROTOCOL.sshsig of OpenSSH).
"""

import hashlib
import re
from pathlib import Path

NAMESPACE = "packhorse"
_MARK = b"packhorse-signature-1\n"
# No byte of an archive's structure (PK…, NUL) fits: what ends the file cannot be read in two ways.
_SIGNATURE = rb"-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]+-----END SSH SIGNATURE-----\n"
_ZIP_END = re.compile(
    rb"PK\x05\x06.{16}(?P<length>..)" + _MARK + rb"(?P<signature>" + _SIGNATURE + rb")", re.DOTALL
)
# RFC 1952: a member without content, whose header has a comment (FLG.FCOMMENT) that ends with NUL.
_GZIP_HEAD = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"
_GZIP_REST = b"\x00\x03\x00" + bytes(8)
_GZIP_END = re.compile(
    re.escape(_GZIP_HEAD + _MARK) + rb"(?P<signature>" + _SIGNATURE + rb")" + re.escape(_GZIP_REST)
)
LARGEST = 60_000  # bytes; a zip file's comment has at most 65,535


def statement(filename: str, sha256: str) -> str:
    """The text that is signed; `sha256` is that of the file without a signature."""
    return f"packhorse artifact {filename} sha256 {sha256}\n"


def read(path: Path) -> tuple[str, str | None]:
    """The sha256 of the file at `path` without its signature, and the signature, None if it has none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = file.seek(max(0, size - LARGEST - 1024))
        tail = file.read()
        end = _end(tail, path)
        file.seek(0)
        digest, left = hashlib.sha256(), start if end else size
        while left and (piece := file.read(min(left, 2**20))):
            digest.update(piece)
            left -= len(piece)
    if end is None:
        return digest.hexdigest(), None
    digest.update(_unsigned(tail, end, path))
    return digest.hexdigest(), end["signature"].decode()


def embed(path: Path, signature: str) -> None:
    """Put `signature` into the file at `path`, which has none. Raises ValueError for what is no signature."""
    data = signature.encode()
    if not re.fullmatch(_SIGNATURE, data) or len(data) > LARGEST:
        raise ValueError(signature)
    with path.open("r+b") as file:
        if path.suffix == ".whl":
            file.seek(-2, 2)  # the length of the comment that `release build` writes: none
            file.write((len(_MARK) + len(data)).to_bytes(2, "little") + _MARK + data)
        else:
            file.seek(0, 2)
            file.write(_GZIP_HEAD + _MARK + data + _GZIP_REST)


def _end(tail: bytes, path: Path) -> "re.Match[bytes] | None":
    """The end of the file that holds its signature."""
    if path.suffix != ".whl":
        return _GZIP_END.fullmatch(tail, max(0, tail.rfind(_GZIP_HEAD + _MARK)))
    found = _ZIP_END.fullmatch(tail, max(0, tail.rfind(b"PK\x05\x06")))
    if found and int.from_bytes(found["length"], "little") != len(_MARK) + len(found["signature"]):
        return None
    return found


def _unsigned(tail: bytes, end: "re.Match[bytes]", path: Path) -> bytes:
    if path.suffix != ".whl":
        return tail[: end.start()]
    return tail[: end.start("length")] + bytes(2)

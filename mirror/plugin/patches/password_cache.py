"""Remember passwords that were right: installers send one with each request, and a check is slow."""

import functools
import hashlib
import secrets
import threading
from collections.abc import Callable

from cachetools import LRUCache
from devpi_server import model

MOST = 1000  # pairs of a stored hash and its password
Verify = Callable[..., tuple[bool, str | None]]
_NAME = "verify_and_update_password_hash"  # imported into model from auth
_STOCK: Verify = getattr(model, _NAME)


def apply() -> None:
    """Let devpi ask the cache; a password that was changed has another stored hash, and is checked anew."""
    setattr(model, _NAME, remembering(_STOCK))


def remembering(verify: Verify, most: int = MOST) -> Verify:
    """`verify`, which is asked once for each password that is right, and always for one that is wrong.

    What is remembered are keyed digests, whose key is in no file: they tell nothing about a password.
    """
    key = secrets.token_bytes(32)
    right: LRUCache[bytes, None] = LRUCache(most)
    lock = threading.Lock()

    @functools.wraps(verify)
    def verified(password: str, pwhash: str, salt: str | None = None) -> tuple[bool, str | None]:
        parts = "\0".join((pwhash, salt or "", password)).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(parts, key=key).digest()
        with lock:
            if digest in right:
                right[digest]  # marks it as used
                return True, None
        valid, newhash = verify(password, pwhash, salt)
        if valid and newhash is None:  # else the stored hash is about to be replaced
            with lock:
                right[digest] = None
        return valid, newhash

    return verified

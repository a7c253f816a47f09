"""Remember passwords that were right: installers send one with each request, and a check is slow."""

import hashlib
import secrets
import threading
from collections.abc import Callable

from cachetools import LRUCache
from devpi_server import model

MOST = 1000  # pairs of a stored hash and its password
Verify = Callable[..., tuple[bool, str | None]]
_NAME = "verify_and_update_password_hash"  # imported into model from auth


class PasswordCache:
    """Asks `verify` once for each password that is right, and always for one that is wrong.

    What is remembered are keyed digests, whose key is in no file: they tell nothing about a password.
    """

    def __init__(self, verify: Verify, most: int = MOST) -> None:
        self._verify = verify
        self._key = secrets.token_bytes(32)
        self._right: LRUCache[bytes, bool] = LRUCache(most)
        self._lock = threading.Lock()

    def knows(self, password: str, pwhash: str, salt: str | None = None) -> bool:
        """Whether `verified` answers without a check."""
        digest = self._digest(password, pwhash, salt)
        with self._lock:
            return self._right.get(digest, False)  # marks it as used

    def verified(self, password: str, pwhash: str, salt: str | None = None) -> tuple[bool, str | None]:
        """Whether `password` is that of the stored hash, and a hash to store instead or None."""
        if self.knows(password, pwhash, salt):
            return True, None
        valid, newhash = self._verify(password, pwhash, salt)
        if valid and newhash is None:  # else the stored hash is about to be replaced
            with self._lock:
                self._right[self._digest(password, pwhash, salt)] = True
        return valid, newhash

    def _digest(self, password: str, pwhash: str, salt: str | None) -> bytes:
        parts = "\0".join((pwhash, salt or "", password)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(parts, key=self._key).digest()


_OF_DEVPI = PasswordCache(getattr(model, _NAME))
knows = _OF_DEVPI.knows


def apply() -> None:
    """Let devpi ask the cache; a password that was changed has another stored hash, and is checked anew."""
    setattr(model, _NAME, _OF_DEVPI.verified)

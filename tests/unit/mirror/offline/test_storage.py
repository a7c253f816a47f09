"""Hashes that a page or a lock states of a file."""

import hashlib

from mirror.offline import storage


def test_a_hash_of_an_unknown_kind_or_of_any_length_is_left_aside() -> None:
    """SHAKE has no one length, and no index states it; a lock of a stranger may."""
    stated = {"shake_128": "00", "shake_256": "00", "nonsense": "00", "sha256": hashlib.sha256().hexdigest()}
    hashers = storage.hashers(stated)
    assert set(hashers) == {"sha256"}
    assert storage.difference(hashers, stated) == ""

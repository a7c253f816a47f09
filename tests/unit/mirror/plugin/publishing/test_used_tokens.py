"""Tests of the note of ID tokens that were used."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror.plugin.publishing.used_tokens import UsedTokens

ISSUER, OTHER = "https://ci.example.com", "https://other.example.com"


def test_a_token_is_new_once_also_after_a_restart(tmp_path: Path) -> None:
    """Ids are an issuer's own: two issuers may give the same one, and no two pairs look alike."""
    path = tmp_path / "used"
    assert UsedTokens(path).add(ISSUER, "a", 200, 100)
    assert not UsedTokens(path).add(ISSUER, "a", 200, 100)
    assert UsedTokens(path).add(OTHER, "a", 200, 100)
    assert UsedTokens(path).add(ISSUER, "b", 200, 100)
    assert UsedTokens(path).add(f"{ISSUER}b", "", 200, 100)
    assert UsedTokens(path).add(ISSUER, "\ud800", 200, 100), "half of a character is an id, too"


def test_a_token_is_forgotten_when_it_has_expired_and_not_before(tmp_path: Path) -> None:
    """The file would grow for ever; a note that ends early lets a token in twice."""
    used = UsedTokens(tmp_path / "used")
    assert used.add(ISSUER, "a", 200, 100)
    assert used.add(ISSUER, "b", 300, 100)
    assert not used.add(ISSUER, "a", 200, 200), "in its last second it is still one"
    assert used.add(ISSUER, "c", 400, 201)
    with sqlite3.connect(tmp_path / "used") as database:
        kept = [until for (until,) in database.execute("SELECT until FROM used ORDER BY until")]
    database.close()
    assert kept == [300, 400]


def test_the_file_is_its_owners_and_has_no_id(tmp_path: Path) -> None:
    """An id is part of a token that may be valid for hours."""
    path = tmp_path / "used"
    assert UsedTokens(path).add(ISSUER, "an-id-that-is-secret", 200, 100)
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert b"an-id" not in content
    assert b"example.com" not in content


def test_of_many_who_bring_one_token_at_once_one_is_the_first(tmp_path: Path) -> None:
    """Each with a connection of its own, as the threads and processes of a server have."""
    path, count = tmp_path / "used", 8
    together = threading.Barrier(count)

    def bring(_: int) -> bool:
        together.wait(30)
        return UsedTokens(path).add(ISSUER, "a", 200, 100)

    with ThreadPoolExecutor(count) as threads:
        assert sum(threads.map(bring, range(count))) == 1


def test_what_cannot_be_noted_is_an_error(tmp_path: Path) -> None:
    """The view refuses then: a token that nobody noted could be used again."""
    path = tmp_path / "used"
    path.write_bytes(b"no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(sqlite3.Error):
        UsedTokens(path).add(ISSUER, "a", 200, 100)
    with pytest.raises(OSError, match="used"):
        UsedTokens(tmp_path / "missing" / "used").add(ISSUER, "a", 200, 100)

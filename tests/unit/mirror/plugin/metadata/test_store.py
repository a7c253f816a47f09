"""Metadata files on disk: found again, never wrong, and never outside their folder."""

from pathlib import Path

import pytest

from mirror.plugin.metadata.store import MetadataStore

KEY = "ab" * 32


def test_what_is_kept_is_found_again_after_a_restart(tmp_path: Path) -> None:
    """Its hash too, without a look into the file: pages state it for thousands of wheels."""
    sha256 = MetadataStore(tmp_path).keep(KEY, b"Name: demo\n")
    again = MetadataStore(tmp_path)
    assert (again.sha256(KEY), again.read(KEY)) == (sha256, b"Name: demo\n")
    assert not again.is_broken(KEY)


def test_a_broken_wheel_stays_broken(tmp_path: Path) -> None:
    """Finding it out cost a whole download."""
    MetadataStore(tmp_path).keep_broken(KEY, "no zip archive")
    again = MetadataStore(tmp_path)
    assert again.is_broken(KEY)
    assert (again.sha256(KEY), again.read(KEY)) == (None, None)


@pytest.mark.parametrize("damage", [b"", b"Name: dem", b"something else"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    """Files are not fsynced: a power cut may leave any of this, and it is made again."""
    MetadataStore(tmp_path).keep(KEY, b"Name: demo\n")
    (path,) = tmp_path.glob(f"*/{KEY}.*")
    path.write_bytes(damage)
    again = MetadataStore(tmp_path)
    assert again.read(KEY) is None
    again.keep(KEY, b"Name: demo\n")
    assert again.read(KEY) == b"Name: demo\n"


def test_what_is_known_of_many_wheels_is_found_at_once(tmp_path: Path) -> None:
    """A page asks for thousands; broken ones count."""
    store = MetadataStore(tmp_path)
    store.keep(KEY, b"Name: demo\n")
    store.keep_broken("cd" * 32, "no zip archive")
    assert store.known([KEY, "cd" * 32, "ef" * 32]) == {KEY, "cd" * 32}

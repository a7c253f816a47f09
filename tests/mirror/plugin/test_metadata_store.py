"""Metadata files on disk: found again, never wrong, and never outside their folder."""

from pathlib import Path

import pytest

from mirror.plugin.metadata_store import MetadataStore, key_of

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


@pytest.mark.parametrize(
    ("hashes", "key"),
    [
        ({"md5": "AB" * 16, "sha256": "AB" * 32}, "ab" * 32),
        ({"md5": "ab" * 16}, f"md5-{'ab' * 16}"),
        ({}, None),
        ({"sha256": "../../../etc/passwd"}, None),
        ({"sha256": "ab"}, None),
    ],
)
def test_a_wheel_is_filed_under_its_hash(hashes: dict[str, str], key: str | None) -> None:
    """Hashes come from pages of an upstream, and become names of files."""
    assert key_of(hashes) == key

"""Metadata files on disk: found again, never wrong, and never outside their folder."""

from pathlib import Path

import pytest

from mirror.plugin.metadata.store import MetadataStore, WheelKey

KEY = WheelKey("root/pypi", "ab" * 32)


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
    """A power cut may leave any of this, and it is made again."""
    MetadataStore(tmp_path).keep(KEY, b"Name: demo\n")
    (path,) = tmp_path.glob(f"by-index/root/pypi/*/{KEY.digest}.*")
    path.write_bytes(damage)
    again = MetadataStore(tmp_path)
    assert again.read(KEY) is None
    again.keep(KEY, b"Name: demo\n")
    assert again.read(KEY) == b"Name: demo\n"


def test_what_is_known_of_many_wheels_is_found_at_once(tmp_path: Path) -> None:
    """A page asks for thousands; broken ones count."""
    store = MetadataStore(tmp_path)
    store.keep(KEY, b"Name: demo\n")
    store.keep_broken(WheelKey("root/other", "cd" * 32), "no zip archive")
    assert store.known(["ab" * 32, "cd" * 32, "ef" * 32]) == {"ab" * 32, "cd" * 32}


def test_an_index_says_nothing_of_the_wheels_of_another(tmp_path: Path) -> None:
    """Whoever knows the hash of a wheel could else state what it depends on, for all indexes."""
    store = MetadataStore(tmp_path)
    other = WheelKey("root/other", KEY.digest)
    store.keep(KEY, b"Name: demo\n")
    store.keep(other, b"Name: demo\nRequires-Dist: evil\n")
    for each in (store, MetadataStore(tmp_path)):
        assert (each.read(KEY), each.read(other)) == (b"Name: demo\n", b"Name: demo\nRequires-Dist: evil\n")
    store.forget(other)
    store.keep_broken(other, "no zip archive")
    assert MetadataStore(tmp_path).read(KEY) == b"Name: demo\n"


def test_what_replaces_another_leaves_nothing_of_it(tmp_path: Path) -> None:
    """After a restart nobody could tell which of two is true; nginx serves by the address."""
    store = MetadataStore(tmp_path)
    for content in (b"Name: demo\nRequires-Dist: evil\n", b"Name: demo\n"):
        store.keep(KEY, content)
    (served,) = (path for path in tmp_path.glob("by-address/root/pypi/*/*"))
    assert served.read_bytes() == b"Name: demo\n"
    assert MetadataStore(tmp_path).read(KEY) == b"Name: demo\n"
    store.keep_broken(KEY, "no zip archive")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY.digest}.broken"]


def test_what_earlier_versions_stored_for_all_indexes_is_dropped(tmp_path: Path) -> None:
    """Nobody knows which index it came from."""
    for old in (f"ab/{KEY.digest}.{'0' * 64}", "by-url/aba/bababababa"):
        (tmp_path / old).parent.mkdir(parents=True)
        (tmp_path / old).write_bytes(b"Name: demo\nRequires-Dist: evil\n")
    assert MetadataStore(tmp_path).read(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_index_leaves_nothing_to_the_next_of_its_name(tmp_path: Path) -> None:
    """Deleting it is how an upstream is got rid of that said what is not so; uploads may follow it."""
    store = MetadataStore(tmp_path)
    other = WheelKey("root/other", KEY.digest)
    for each in (KEY, other):
        store.keep(each, b"Name: demo\n")
    store.remove_index(other.index)
    for known in (store, MetadataStore(tmp_path)):
        assert (known.read(KEY), known.read(other)) == (b"Name: demo\n", None)
    assert not list(tmp_path.glob("*/root/other"))

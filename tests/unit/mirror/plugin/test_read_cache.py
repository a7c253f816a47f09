"""Memory of files: the latest, and never of another file than the one that is there."""

import os
from pathlib import Path

from mirror.plugin import read_cache
from mirror.plugin.read_cache import ReadCache


def test_a_value_is_that_of_one_file(tmp_path: Path) -> None:
    """A page that is replaced has another token, whatever its time says."""
    path, values = tmp_path / "page", ReadCache[str](100)
    assert read_cache.file_version(path) is None
    path.write_bytes(b"one")
    first = read_cache.file_version(path)
    assert first is not None
    values.put(str(path), first, 3, "one")
    assert values.get(str(path), first) == "one"
    scratch = tmp_path / "scratch"
    scratch.write_bytes(b"two")
    os.utime(scratch, ns=(first[0], first[0]))
    scratch.replace(path)
    second = read_cache.file_version(path)
    assert second is not None
    assert values.get(str(path), second) is None


def test_memory_holds_the_values_used_last_only() -> None:
    """A mirror may know a hundred thousand projects, of which some are asked for all the time."""
    values = ReadCache[int](1000)
    for number in range(20):
        values.put(str(number), (number, 0), 100, number)
        assert values.get("0", (0, 0)) == 0
    here = {number for number in range(20) if values.get(str(number), (number, 0)) is not None}
    assert here == {0, *range(11, 20)}
    values.put("large", (0, 0), 2000, -1)
    assert values.get("large", (0, 0)) is None
    values.put("small", (0, 0), 1000, 1)
    assert values.get("small", (0, 0)) == 1


def test_a_value_too_large_to_keep_takes_the_one_before_with_it() -> None:
    """A page that has grown must not be shown as it was."""
    values = ReadCache[str](10)
    values.put("page", (0, 0), 10, "small")
    values.put("page", (1, 0), 11, "large")
    assert [values.get("page", version) for version in ((0, 0), (1, 0))] == [None, None]

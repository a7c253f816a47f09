"""Sizes and times as people write them."""

import shutil
from pathlib import Path

import pytest

from packhorse import quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("50G", 50 * 10**9),
        ("500M", 500 * 10**6),
        ("1.5k", 1500),
        ("512B", 512),
        ("2 TB", 2 * 10**12),
        ("1GiB", 2**30),
    ],
)
def test_sizes(text: str, expected: int, tmp_path: Path) -> None:
    assert quantities.size(text, tmp_path) == expected


@pytest.mark.parametrize("text", ["100", "1.5", "50 "])
def test_a_number_needs_a_unit(text: str, tmp_path: Path) -> None:
    """`mirror prune --max-size 100` would have removed all but 100 bytes."""
    with pytest.raises(ValueError, match="has no unit"):
        quantities.size(text, tmp_path)


def test_a_share_of_the_disk(tmp_path: Path) -> None:
    assert quantities.size("50%", tmp_path) == shutil.disk_usage(tmp_path).total // 2


@pytest.mark.parametrize("text", ["", "G", "-1G", "50 X", "1,5G", "0%", "101%", "1iB", "5e9", "٣G", "50G\n"])
def test_no_sizes(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no size"):
        quantities.size(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90d", 90 * 86_400), ("12h", 43_200), ("4w", 28 * 86_400), ("30min", 1800), ("2m", 120)],
)
def test_times(text: str, expected: int) -> None:
    assert quantities.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "90 days", "1mi", "1M", "90d\n"])
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        quantities.seconds(text)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (50 * 10**9, "50.0 GB"), (2 * 10**15, "2000.0 TB")],
)
def test_bytes_for_people(count: int, expected: str) -> None:
    assert quantities.shown(count) == expected

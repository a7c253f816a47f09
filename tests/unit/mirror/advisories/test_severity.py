"""Tests of severities from CVSS vectors and words of databases."""

import pytest

from mirror.advisories import severity


@pytest.mark.parametrize(
    ("kind", "vector", "score", "level"),
    [
        ("CVSS_V2", "AV:L/AC:M/Au:N/C:N/I:P/A:C", 5.4, "medium"),
        ("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0, "critical"),
        ("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5, "high"),
        ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS_V3", "CVSS:3.1/AV:L/AC:L/PR:L/UI:R/S:U/C:N/I:N/A:N", 0.0, "low"),
        ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", 8.7, "high"),
    ],
)
def test_vectors_of_each_version_give_their_base_score(
    kind: str, vector: str, score: float, level: str
) -> None:
    """Scores as the calculators of FIRST state them."""
    assert severity.score(kind, vector) == score
    assert severity.level_of_score(score) == level


@pytest.mark.parametrize(
    ("kind", "vector"),
    [
        ("CVSS_V3", ""),
        ("CVSS_V3", "CVSS:3.1/AV:X"),
        ("CVSS_V3", "AV:N/AC:L/Au:N/C:C/I:C/A:C"),
        ("CVSS_V3", "CVSS:3.1/" + "AV:N/" * 10_000),
        ("CVSS_V4", "CVSS:4.0/AV:N//::/\x00"),
        ("CVSS_V9", "CVSS:9.0/AV:N"),
        ("Ubuntu", "high"),
    ],
)
def test_what_is_no_vector_gives_no_score(kind: str, vector: str) -> None:
    """A record with a broken vector is still an advisory."""
    assert severity.score(kind, vector) is None


def test_an_unknown_severity_reaches_every_level() -> None:
    """Most records of Python's own database state none: hiding them would hide the worst."""
    assert severity.reaches("unknown", "critical")
    assert severity.reaches("high", "high")
    assert not severity.reaches("medium", "high")


def test_the_highest_of_several_counts_and_words_are_read_in_any_case() -> None:
    """GitHub says MODERATE where others say medium."""
    assert severity.level_of_word("MODERATE") == "medium"
    assert severity.level_of_word(["HIGH"]) is None
    assert severity.highest(["low", "critical", "unknown"]) == "critical"
    assert severity.highest([]) == "unknown"

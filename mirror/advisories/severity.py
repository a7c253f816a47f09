"""Severity of an advisory: the highest that its CVSS vectors (v2, v3, v4) or its database state."""

from collections.abc import Iterable

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

LEVELS = ("low", "medium", "high", "critical")
UNKNOWN = "unknown"  # nobody states one; it may be any
_READERS = {"CVSS_V2": CVSS2, "CVSS_V3": CVSS3, "CVSS_V4": CVSS4}
_LEAST = {
    "low": 0.0,
    "medium": 4.0,
    "high": 7.0,
    "critical": 9.0,
}  # the rating scale of CVSS v3.1 (5) and v4.0 (6)
_WORDS = {**{level: level for level in LEVELS}, "moderate": "medium"}  # GitHub's word
_LONGEST_VECTOR = 300


def score(kind: str, vector: str) -> float | None:
    """The base score of a vector, of a kind that OSV names; None for what is no such vector."""
    reader = _READERS.get(kind)
    if reader is None or len(vector) > _LONGEST_VECTOR:
        return None
    try:
        return float(reader(vector).base_score)
    except (CVSSError, ValueError, KeyError, IndexError):  # the last three from vectors with odd characters
        return None


def level_of_score(number: float) -> str:
    """The level of a base score; v2 has the same scale here, although it knows nothing above high."""
    return [level for level in LEVELS if number >= _LEAST[level]][-1]


def level_of_word(word: object) -> str | None:
    """The level that a database's word means, such as `MODERATE`; None for others."""
    return _WORDS.get(word.lower()) if isinstance(word, str) else None


def highest(levels: Iterable[str]) -> str:
    """The highest of `levels`; UNKNOWN when none is known."""
    return max(levels, key=(UNKNOWN, *LEVELS).index, default=UNKNOWN)


def reaches(level: str, least: str) -> bool:
    """Whether `level` is at least `least`; an unknown one may be, so it counts as if it were."""
    return level == UNKNOWN or LEVELS.index(level) >= LEVELS.index(least)

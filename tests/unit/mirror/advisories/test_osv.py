"""Tests of reading OSV records, which are not trusted."""

import json
from typing import Any

import pytest

from mirror.advisories import osv


def record(**changed: object) -> bytes:
    """A record about flask, as the public export has them."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Flask", "purl": "pkg:pypi/flask"},
        "ranges": [
            {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}, {"fixed": "70f906"}]},
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2.5"}]},
        ],
        "versions": ["0.1", "2.2.4", "7.7"],
        "database_specific": {"source": "…"},
    }
    whole = {
        "schema_version": "1.7.0",
        "id": "GHSA-m2qf-hxjv-5gpq",
        "modified": "2024-02-16T08:21:35Z",
        "aliases": ["CVE-2023-30861", "PYSEC-2023-62"],
        "summary": "Flask  vulnerable\nto something",
        "details": "Long.",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
        "affected": [affected],
        "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-539"]},
        "credits": [{"name": "x"}],
    }
    return json.dumps({**whole, **changed}).encode()


def test_a_record_is_read_as_the_schema_has_it() -> None:
    """Versions outside of the ranges count besides them; those inside are not kept."""
    modified, found = osv.parse(record())
    advisory = found["flask"]
    assert modified == "2024-02-16T08:21:35Z"
    assert advisory.ranges == ((("introduced", "0"), ("fixed", "2.2.5")),)
    assert advisory.versions == ("7.7",)
    assert (advisory.severity, advisory.score) == ("high", 7.5)
    assert advisory.summary == "Flask vulnerable to something"
    assert advisory.aliases == ("CVE-2023-30861", "PYSEC-2023-62")


def test_one_that_was_withdrawn_or_is_of_another_ecosystem_has_no_advisory() -> None:
    """What was taken back is none."""
    assert osv.parse(record(withdrawn="2024-02-16T08:21:35Z"))[1] == {}
    others = [{"package": {"ecosystem": "npm", "name": "flask"}}, {"ranges": []}]
    assert osv.parse(record(affected=others))[1] == {}
    assert osv.parse(record(affected=None))[1] == {}


def test_several_entries_for_one_project_are_one_advisory() -> None:
    """GitHub writes one entry for each branch, each with ranges of its own."""

    def entry(introduced: str, fixed: str) -> dict[str, Any]:
        events = [{"introduced": introduced}, {"fixed": fixed}]
        return {
            "package": {"ecosystem": "PyPI", "name": "demo"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }

    found = osv.parse(record(affected=[entry("1", "1.5"), entry("2", "2.5")]))[1]
    assert len(found["demo"].ranges) == 2


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"severity": []}, "high"),  # what the database says
        ({"severity": None, "database_specific": {"severity": "MODERATE"}}, "medium"),
        ({"severity": None, "database_specific": {"severity": {"deep": 1}}}, "unknown"),
        ({"severity": None, "database_specific": ["HIGH"]}, "unknown"),
        ({"severity": None, "database_specific": None}, "unknown"),
        ({"severity": [{"type": "CVSS_V3", "score": "nonsense"}], "database_specific": None}, "unknown"),
        ({"id": "MAL-2024-1", "severity": None, "database_specific": None}, "critical"),
    ],
)
def test_the_severity_is_what_vectors_or_the_database_state(changed: dict[str, Any], level: str) -> None:
    """A malicious package has no vector, and nothing is worse."""
    assert osv.parse(record(**changed))[1]["flask"].severity == level


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"id": 5}',
        b'{"affected": []}',
        b"[" * 1_000_000,
        b'{"id": "A-1", "database_specific": ' + b'{"a":' * 100_000,
        b'{"id": "A-1", "credits": ' + b"[" * 1_000_000,
        b"\xff\xfe",
        record(id="../../etc"),
        record(id="A\x1b[2J"),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "../../x"}}]),
        record(affected="all"),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": [1.0]}]),
        b" " * (osv.LARGEST + 1),
    ],
    ids=range(16),
)
def test_what_is_no_record_is_refused_with_a_reason(content: bytes) -> None:
    """The export comes from many writers: deep, broken or odd JSON is one record that cannot be read."""
    with pytest.raises(osv.InvalidRecordError):
        osv.parse(content)


def entry(**stated: object) -> dict[str, object]:
    """What a record says of one project."""
    return {"package": {"ecosystem": "PyPI", "name": "demo"}, **stated}


@pytest.mark.parametrize(
    "stated",
    [
        {"affected": [entry(ranges=[{"type": "ECOSYSTEM", "events": [{"introduced": "1"}] * 1001}])]},
        {"affected": [entry(ranges=[{"type": "ECOSYSTEM", "events": [{"introduced": "1"}]}] * 501)]},
        {"affected": [entry(ranges=[{"type": "GIT", "events": [{}] * 101}])] * 10},
        {"affected": [entry()] * 1001},
        {"affected": [entry(severity=[{"type": "x", "score": "y"}] * 1001)]},
        {"severity": [{"type": "x", "score": "y"}] * 1001},
        {"aliases": ["CVE-1"] * 1001},
        {"affected": [entry(versions=["1"] * 10_001)] * 2},
    ],
    ids=range(8),
)
def test_a_record_says_no_more_than_can_be_compared(stated: dict[str, object]) -> None:
    """Of half a megabyte, 120,000 events and 60,000 versions took minutes; real ones have some thirty events
    and a thousand versions.
    """
    with pytest.raises(osv.InvalidRecordError, match="more than"):
        osv.parse(record(**stated))


def test_texts_are_short() -> None:
    """They go onto terminals and pages."""
    found = osv.parse(record(summary="x" * 5000, aliases=["CVE-1", "no alias", "y" * 500]))[1]["flask"]
    assert len(found.summary) == 200
    assert found.aliases == ("CVE-1",)

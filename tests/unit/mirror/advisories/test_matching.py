"""Tests of OSV's evaluation of versions and ranges, in the order of PEP 440."""

import pytest

from mirror.advisories.matching import Advisory, Event, KnownVulnerabilities


def known(*ranges: list[Event], versions: tuple[str, ...] = ()) -> KnownVulnerabilities:
    """One advisory with these ranges and versions."""
    return KnownVulnerabilities(
        [Advisory("PYSEC-1", ranges=tuple(tuple(each) for each in ranges), versions=versions)]
    )


INTRODUCED: Event = ("introduced", "0")


@pytest.mark.parametrize(
    ("events", "affected", "safe"),
    [
        (
            [INTRODUCED, ("fixed", "1.0")],
            ["0", "0.9", "1.0rc1", "1.0.dev3", "0.9.post1"],
            ["1", "1.0.0", "1.0.post1"],
        ),
        (
            [INTRODUCED, ("last_affected", "1.0")],
            ["1.0", "1.0.0", "1.0rc1", "0!1", "1.0+cpu"],
            ["1.0.1", "1.0.post1"],
        ),
        (
            [("introduced", "1.0"), ("fixed", "1.10")],
            ["1.0", "1.9", "1.2"],
            ["0.9", "1.10", "1.11", "1.0rc1", "1!1.5"],
        ),
        ([("introduced", "2.0")], ["2.0", "3", "1!0"], ["1.9", "2.0a1"]),
        # As the specification has it, events come in any order.
        (
            [("fixed", "2.3.2"), ("introduced", "2.3.0"), INTRODUCED, ("fixed", "2.2.5")],
            ["1.0", "2.2.4", "2.3.1", "2.3"],
            ["2.2.5", "2.2.9", "2.3.2", "3"],
        ),
        ([INTRODUCED, ("limit", "2.0")], ["1.9"], ["2.0"]),
        ([INTRODUCED, ("limit", "*"), ("fixed", "3")], ["2.0"], ["3"]),
        ([("introduced", "1.0"), ("fixed", "1.0")], [], ["1.0", "2.0", "0.1"]),
        # A bound without a place in the order ends nothing.
        ([INTRODUCED, ("fixed", "next release")], ["1.0", "99"], []),
        ([("introduced", "long ago"), ("fixed", "1.0")], ["0.1"], ["1.0"]),
        ([("fixed", "1.0")], [], ["0.1", "1.0"]),
        ([], [], ["1.0"]),
    ],
)
def test_a_range_contains_what_the_specification_says(
    events: list[Event], affected: list[str], safe: list[str]
) -> None:
    """A missed version is a hole that nobody hears of; one too much is noise that gets switched off."""
    found = known(events)
    assert [version for version in affected if not found.find(version)] == []
    assert [version for version in safe if found.find(version)] == []


def test_listed_versions_are_compared_as_versions_and_else_as_text() -> None:
    """Records list 1.0 where a lock has 1.0.0; old ones have what is no version at all."""
    found = known(versions=("1.0", "0.8dev-20081230"))
    assert [
        bool(found.find(version)) for version in ("1.0.0", "1.0+local", "0.8dev-20081230", "1.1", "0.8dev-x")
    ] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_what_is_no_version_counts_as_older_than_all_others() -> None:
    """It cannot be compared, so nothing says that it has been fixed."""
    assert known([INTRODUCED, ("fixed", "1.0")]).find("odd!!")
    assert not known([("introduced", "1.0")]).find("odd!!")


def test_the_same_vulnerability_of_two_databases_is_one_finding() -> None:
    """GitHub's has the severity, Python's own the better ranges; chains of aliases count, too."""
    found = KnownVulnerabilities(
        [
            Advisory(
                "PYSEC-2", ("CVE-9",), ranges=((INTRODUCED, ("fixed", "1.2")),), summary="A longer text."
            ),
            Advisory("OTHER-1", ("CVE-8",), ranges=((INTRODUCED, ("fixed", "5")),)),
            Advisory(
                "GHSA-1",
                ("CVE-9",),
                "high",
                7.5,
                "Short.",
                ((INTRODUCED, ("fixed", "1.1")), (("introduced", "1.3"), ("fixed", "1.4"))),
            ),
            Advisory("X-1", ("CVE-7", "CVE-9")),
        ]
    ).find("1.0")
    assert [(each.id, each.aliases, each.severity, each.score) for each in found] == [
        ("PYSEC-2", ("GHSA-1", "X-1", "CVE-7", "CVE-9"), "high", 7.5),
        ("OTHER-1", ("CVE-8",), "unknown", None),
    ]
    assert found[0].fixed_in == "1.2"  # in 1.1 the other database still sees it
    assert found[0].summary == "Short."


def test_the_fix_is_the_next_version_that_is_not_affected() -> None:
    """Who has 2.3.0 upgrades to 2.3.2, not back to 2.2.5; some have no fix."""
    found = known([INTRODUCED, ("fixed", "2.2.5"), ("introduced", "2.3.0"), ("fixed", "2.3.2")])
    assert [each.fixed_in for version in ("1.0", "2.3.1") for each in found.find(version)] == [
        "2.2.5",
        "2.3.2",
    ]
    assert known([INTRODUCED]).find("1.0")[0].fixed_in is None


def test_thousands_of_versions_cost_an_evaluation_for_each_gap_between_bounds() -> None:
    """A page of a project with many advisories is filtered while clients wait for it."""
    found = KnownVulnerabilities(
        Advisory(f"PYSEC-{number}", ranges=((("introduced", f"{number}"), ("fixed", f"{number}.5")),))
        for number in range(1, 101)
    )
    affected = [bool(found.find(f"{major}.{minor}")) for major in range(100) for minor in range(50)]
    assert sum(affected) == 99 * 5
    assert len(found._known) <= 4 * 100 + 1

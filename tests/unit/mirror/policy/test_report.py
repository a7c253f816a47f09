"""What `mirror policy` and `mirror why` print."""

from typing import Any

import pytest

from mirror.policy import report
from packhorse.errors import PackhorseError

ANSWER: dict[str, Any] = {
    "project": "demo",
    "on": "company/dev",
    "notes": [],
    "files": [
        {"filename": "demo-1.0.zip", "version": "1.0", "allowed": True},
        *(
            {
                "filename": f"demo-{number}.0.zip",
                "version": f"{number}.0",
                "allowed": False,
                "rule": "deny",
                "policy_of": "",
                "reason": "because\x1b[2J",
            }
            for number in range(2, 30)
        ),
    ],
}


def test_files_are_named_below_the_reason_that_they_share() -> None:
    """Nothing that an upstream wrote steers the terminal."""
    lines = report.why_as_text(ANSWER).splitlines()
    assert lines[0] == "demo on company/dev: 1 files are listed, 28 are not; newest listed: 1.0"
    assert lines[1] == "  28 files: rule deny: because?[2J"
    assert lines[3] == "policy of all indexes, rule deny: because?[2J"
    assert (lines[4], lines[-1]) == ("  demo-29.0.zip", "  … and 8 more")


def test_hundreds_of_files_fit_on_a_screen_or_two() -> None:
    """Each has a reason of its own when it has a name or a date in it."""
    files = [
        {**ANSWER["files"][1], "filename": f"demo-{number}.zip", "version": f"{number}", "reason": reason}
        for number in range(300)
        for reason in (f"no provenance of demo-{number}.zip", f"not before day {number}")
    ]
    lines = report.why_as_text({**ANSWER, "files": files}).splitlines()
    assert lines[0] == "demo on company/dev: 0 files are listed, 600 are not"
    assert lines[1] == "  300 files: rule deny: no provenance of …"
    assert lines[21] == "  … and 281 more"
    assert lines[24] == "  demo-299.zip"
    assert len(lines) < 100


def test_what_is_reported_of_listed_files_is_shown() -> None:
    """They are listed all the same."""
    listed = {"filename": "demo-1.0.zip", "version": "1.0", "allowed": True, "reported": "it has A-1"}
    text = report.why_as_text({**ANSWER, "files": [listed]})
    assert "\nlisted, but reported: it has A-1\n  demo-1.0.zip" in text


def test_one_version_is_found_in_every_spelling() -> None:
    """1.0.0 is 1.0 (PEP 440)."""
    found = report.of_version(ANSWER, "1.0.0")
    assert [file["filename"] for file in found["files"]] == ["demo-1.0.zip"]


def test_a_version_that_nobody_has_is_said_to_be_unknown() -> None:
    """No rule denies it; those that there are help with a typo."""
    with pytest.raises(PackhorseError, match=r"No version 1\.0\.1 of demo is known on company/dev") as raised:
        report.of_version(ANSWER, "1.0.1")
    assert raised.value.hint.startswith("The newest that are: 29.0, 28.0, 27.0, 26.0, 25.0. ")
    assert report.of_version({**ANSWER, "files": []}, "1.0.1")["files"] == []


def test_policies_in_force_are_listed() -> None:
    """With the names that are reserved."""
    answer = {
        "settings": {"": {"deny": ["x"]}},
        "rules": [{"index": "", "rule": "deny", "words": "not listed: x"}],
        "reserved": ["acme"],
    }
    text = report.rules_as_text(answer)
    assert text == "policy of all indexes  deny: not listed: x\nall indexes of uploads  reserved: acme"
    empty: dict[str, Any] = {"settings": {}, "rules": [], "reserved": []}
    assert report.rules_as_text(empty) == "no policy is declared: [policy] in mirror.toml has them"


@pytest.mark.parametrize("name", ["", "a/b", "..", "-"])
def test_what_names_no_project_is_refused(name: str) -> None:
    """It becomes part of an address."""
    with pytest.raises(PackhorseError, match="names no project"):
        report.name_of(name)


def test_the_log_is_a_line_for_each_rule() -> None:
    """For people who look for what happened."""
    denied = {
        "rule": "deny",
        "policy_of": "",
        "reason": "x is denied",
        "count": 4,
        "files": ["a", "b", "c", "d"],
    }
    begin = {"at": "2024-01-31T12:00:00Z", "on": "a/b"}
    lines: list[dict[str, Any]] = [
        {**begin, "project": "x", "denied": [denied]},
        {**begin, "project": "x", "denied": []},
        {
            **begin,
            "project": "y",
            "denied": [],
            "reported": [{**denied, "reason": "y has A-1", "count": 1, "files": ["e"]}],
        },
        {**begin, "project": "billings", "denied": [], "looks_like": "billing"},
    ]
    assert report.log_as_text(lines).splitlines() == [
        "2024-01-31T12:00:00Z  a/b  x: 4 denied by deny: x is denied (a, b, c, …)",
        "2024-01-31T12:00:00Z  a/b  x: all files are listed again",
        "2024-01-31T12:00:00Z  a/b  y: 1 reported by deny: y has A-1 (e)",
        "2024-01-31T12:00:00Z  a/b  billings: looks like billing, which is reserved",
    ]
    assert report.look_alikes(lines) == ["billings looks like billing"]

"""What is said first of the decisions about hundreds of files."""

from typing import Any

from mirror import decision_summary


def file(version: str | None, *, allowed: bool = True, reason: str = "") -> dict[str, Any]:
    decision = {} if allowed else {"rule": "deny", "policy_of": "", "reason": reason}
    return {"filename": f"demo-{version}.zip", "version": version, "allowed": allowed, **decision}


def test_the_newest_version_that_is_listed_is_what_installers_take() -> None:
    """By number, not by text, and whatever others are called."""
    files = [file("2.0"), file("10.0"), file("dev"), file(None), file("11.0", allowed=False)]
    assert decision_summary.newest_listed(files) == "10.0"
    assert decision_summary.newest_listed([file("1.0", allowed=False)]) is None


def test_files_of_one_reason_are_a_group_with_the_newest_first() -> None:
    """The reason of a single file keeps its name."""
    denied = [
        file(version, allowed=False, reason=f"no proof of demo-{version}.zip") for version in ("9", "10")
    ]
    found = decision_summary.denied(
        [file("1"), *denied, file("3", allowed=False, reason="demo-3.zip is bad")]
    )
    assert [(group.reason, [each["version"] for each in group.files]) for group in found] == [
        ("no proof of …", ["10", "9"]),
        ("demo-3.zip is bad", ["3"]),
    ]
    assert list(decision_summary.counts(found)) == [
        "2 files: rule deny: no proof of …",
        "1 files: rule deny: demo-3.zip is bad",
    ]

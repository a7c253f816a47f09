"""The promises of mirror.plugin.guards.declared_policies."""

import pytest

from mirror.plugin.guards import declared_policies
from mirror.plugin.policy.evaluation import Fact


@pytest.mark.parametrize(
    ("rule", "value", "fact"),
    [
        ("vulnerabilities", {"least": "high", "ignore": []}, "advisories"),
        ("look_alikes", True, "reserved names"),
        ("minimum_age", {"seconds": 1}, "first seen"),
        ("deny", ["demo"], None),
    ],
)
def test_policies_say_which_facts_their_decisions_follow(rule: str, value: object, fact: Fact | None) -> None:
    """Of a rule that kept it to itself, pages from the disk would go on to show the decision of before."""
    declared = declared_policies.parse({"company/dev": {rule: value}})
    facts: tuple[Fact, ...] = ("advisories", "reserved names", "first seen")
    assert [each for each in facts if declared.decide_by(each)] == ([fact] if fact else [])

"""Policies in mirror.toml, where they hold, and what the server gets of them."""

import re
from pathlib import Path

import pytest

from mirror import config
from mirror.plugin.guards.declared_policies import parse
from mirror.plugin.policy.evaluation import UnreadableRule
from mirror.plugin.policy.rules import BUILDERS
from packhorse.errors import PackhorseError
from tests.support import documents


def load(folder: Path, text: str) -> config.MirrorConfig:
    path = folder / "mirror.toml"
    path.write_text(text)
    return config.load(path)


def test_policies_of_all_indexes_and_of_one(tmp_path: Path) -> None:
    """A table that adds nothing but a policy replaces none of the default indexes."""
    text = '[policy]\ndeny = ["evil"]\n[indexes."root/pypi".policy]\nallow = []\n'
    loaded = load(
        tmp_path, text + '[indexes."company/prod".policy]\nrefuse_quarantined = false\nsdists = []\n'
    )
    assert loaded.policies == {
        "": {"deny": ["evil"], "refuse_quarantined": True},
        "root/pypi": {"allow": [], "refuse_quarantined": True},
        "company/prod": {"sdists": []},
    }
    assert loaded.indexes["company/prod"].bases == ("root/pypi",)
    assert config.in_order(loaded.indexes) == ["company/prod", "company/dev"]


def test_the_page_about_policies_shows_what_the_server_can_read(tmp_path: Path) -> None:
    """docs/policies.md: a rule that the server cannot read denies everything."""
    shown = [block.text for block in documents.blocks("policies.md") if block.language == "toml"]
    assert len(shown) >= 3
    used = set()
    for text in shown:
        declared = load(tmp_path, text).policies
        found = parse(declared).policies
        assert found.keys() == declared.keys()
        rules = [rule for policy in found.values() for rule in policy.rules]
        assert not [rule for rule in rules if isinstance(rule, UnreadableRule)]
        used |= {rule.name for rule in rules}
    assert used >= {"deny", "allow", "sdists", "hide_yanked", "require_provenance", "licenses"}
    page = (documents.CHECKOUT / "docs" / "policies.md").read_text()
    in_table = set(re.findall(r"^\| `(\w+) = ", page, re.MULTILINE))
    assert in_table == set(BUILDERS), "the table has each rule"
    for row in re.findall(r"^\| `(\w+ = [^`]*)`", page, re.MULTILINE):
        assert load(tmp_path, f"[policy]\n{row}\n").policies[""]


def test_without_a_policy_there_is_none(tmp_path: Path) -> None:
    """Not even an empty one: servers look at nothing then."""
    assert load(tmp_path, "").policies == {}
    assert load(tmp_path, "policy.refuse_quarantined = false").policies == {}


def test_the_upstream_index_has_nothing_else_there(tmp_path: Path) -> None:
    """Its address is in [upstream]."""
    text = '[indexes."root/pypi"]\nvolatile = true\n'
    with pytest.raises(PackhorseError, match="this is the upstream index"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("policy.denied = []", "policy.denied: unknown key"),
        ('policy.deny = ["a b"]', '"a b" should be a project'),
        ('policy.deny = ["demo>>1"]', "should be a project"),
        ('policy.deny = "demo"', "should be an array"),
        ('policy.sdists = ["demo>1"]', '"demo>1" should be a project or a pattern'),
        ('policy.vulnerabilities = "severe"', "policy.vulnerabilities.block"),
        ('policy.vulnerabilities = {least = "low"}', "policy.vulnerabilities.least: unknown key"),
        ('policy.hide_yanked = "yes"', "policy.hide_yanked"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    """A policy that is read otherwise than it was meant is none."""
    with pytest.raises(PackhorseError) as caught:
        load(tmp_path, text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        ('"high"', {"least": "high"}),
        ('{block = "critical"}', {"least": "critical"}),
        ('{block = "critical", report = "medium"}', {"least": "critical", "report": "medium"}),
        ('{report = "low"}', {"least": None, "report": "low"}),
    ],
)
def test_a_severity_denies_or_only_reports(tmp_path: Path, value: str, levels: dict[str, str | None]) -> None:
    """A text is what denies; a server that only reports denies nothing."""
    loaded = load(tmp_path, f"policy.refuse_quarantined = false\npolicy.vulnerabilities = {value}")
    assert loaded.policies == {"": {"vulnerabilities": {**levels, "ignore": []}}}


def test_an_age_is_sent_in_seconds_with_what_belongs_to_it(tmp_path: Path) -> None:
    """A rule is one value on the server."""
    text = 'policy.minimum_age = "36h"\npolicy.exempt = ["certifi"]\npolicy.refuse_quarantined = false\n'
    assert load(tmp_path, text).policies[""] == {
        "minimum_age": {"seconds": 129600, "exempt": ["certifi"], "trust_upload_times": True}
    }


@pytest.mark.parametrize("value", ["7", '"7"', '"0d"', '"-1d"', '"7 days"', "true", '"9999999d"'])
def test_what_is_no_age_is_refused(tmp_path: Path, value: str) -> None:
    """Seven what."""
    with pytest.raises(PackhorseError, match=r"policy\.minimum_age: (should be a text|.* is no time)"):
        load(tmp_path, f"policy.minimum_age = {value}")


def test_what_belongs_to_an_age_needs_one(tmp_path: Path) -> None:
    """Who exempts a project believes that there is a rule."""
    with pytest.raises(PackhorseError, match="belong to minimum_age"):
        load(tmp_path, 'policy.exempt = ["certifi"]')


def test_a_provenance_is_of_the_first_publisher_or_of_one_that_is_named(tmp_path: Path) -> None:
    """A name alone is the shortest form."""
    text = """policy.refuse_quarantined = false
policy.require_provenance = [
  "demo>=2",
  {project = "tool", publisher = {kind = "GitHub", repository = "acme/tool", workflow = "release.yml"}},
]"""
    assert load(tmp_path, text).policies[""] == {
        "require_provenance": [
            {"project": "demo>=2", "publisher": None},
            {
                "project": "tool",
                "publisher": {"kind": "GitHub", "repository": "acme/tool", "workflow": "release.yml"},
            },
        ]
    }


def test_licenses_are_allowed_and_denied(tmp_path: Path) -> None:
    """An empty list allows none."""
    text = "policy.refuse_quarantined = false\npolicy.licenses = {allow = []}"
    assert load(tmp_path, text).policies[""] == {
        "licenses": {"allow": [], "deny": [], "unknown": "deny", "exempt": []}
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('require_provenance = "demo"', "should be an array"),
        ('require_provenance = ["a b"]', '"a b" should be a project'),
        ('require_provenance = [{project = "a", publisher = {kind = "GitHub"}}]', "has repository"),
        (
            'require_provenance = [{project = "a", publisher = {kind = "Google", workflow = "b"}}]',
            "a publisher of kind Google has email",
        ),
        ('require_provenance = [{project = "a", publisher = {kind = "Acme"}}]', "kind"),
        ('licenses.allow = ["MIT License"]', '"MIT License" should be an SPDX id'),
        ('licenses.allow = "MIT"', "should be an array"),
        ('licenses = ["MIT"]', 'policy.licenses: should be a table, such as {allow = ["MIT"]}'),
        ('licenses = "MIT"', 'policy.licenses: should be a table, such as {allow = ["MIT"]}'),
        ('licenses.unknown = "perhaps"', "policy.licenses.unknown"),
    ],
)
def test_a_publisher_or_license_that_is_none_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """It would deny everything, or let in what was not meant."""
    with pytest.raises(PackhorseError) as caught:
        load(tmp_path, f"policy.{text}")
    assert problem in str(caught.value)

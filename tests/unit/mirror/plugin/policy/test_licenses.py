"""Tests of the rule by license, and of what metadata states about one."""

from typing import Any

import pytest

from mirror.plugin.policy import evaluation, license_terms, rules
from mirror.plugin.policy.evaluation import Denial, EvidenceRule
from mirror.plugin.policy.evidence import Evidence, License
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject, Rows

NOW = 1_000_000.0
SHA256 = "a" * 64
VALUE: dict[str, Any] = {"allow": ["MIT", "BSD-*"], "deny": [], "unknown": "deny", "exempt": []}


def file_object(name: str) -> FileObject:
    return FileObject(name, "", {"sha256": SHA256})


def wheel_name(minor: int) -> str:
    return f"demo-1.{minor}-py3-none-any.whl"


def project(files: int, stated: dict[int, License], *, whole: bool = True) -> ProjectFacts:
    """A project with so many wheels, of which these are known."""
    names = [wheel_name(minor) for minor in range(files)]
    page = Rows.of_objects([file_object(name) for name in names], [""] * files) if whole else None
    records = {wheel_name(minor): license_ for minor, license_ in stated.items()}
    return ProjectFacts("demo", evidence=Evidence({}, records), filenames=names, page=page)


def decided(facts: ProjectFacts, name: str, **value: Any) -> Denial | None:  # noqa: ANN401
    policy = evaluation.build("", {"licenses": {**VALUE, **value}}, rules.BUILDERS)
    judge = evaluation.judge_of([policy], facts, NOW)
    return judge(FileFacts(facts, file_object(name))) if judge else None


def mit() -> License:
    return License(SHA256, "MIT")


def gpl() -> License:
    return License(SHA256, "GPL-3.0-only")


@pytest.mark.parametrize(
    ("stated", "terms"),
    [
        (License("", "mit or apache-2.0"), "MIT OR Apache-2.0"),
        (License("", "MIT", ("License :: OSI Approved :: Apache Software License",)), "MIT"),
        (License("", "", ("License :: OSI Approved :: MIT License",), "GPL"), "(MIT)"),
        (
            License("", "", ("License :: OSI Approved", "License :: OSI Approved :: BSD License")),
            "(BSD-2-Clause AND BSD-3-Clause)",
        ),
        (License("", "", ("License :: OSI Approved :: Odd License",)), None),
        (License("", "", (), "Apache License, Version 2.0"), "Apache-2.0"),
        (License("", "", (), "bsd-3-clause"), "BSD-3-Clause"),
        (License("", "", (), "Copyright (c) …"), None),
        (License("", "not a license"), None),
        (License("", "(" * 400 + "MIT" + ")" * 400), None),
        (License(""), None),
    ],
)
def test_metadata_states_a_license_in_three_ways(stated: License, terms: str | None) -> None:
    """PEP 639, classifiers, and the field before that."""
    assert license_terms.of(stated) == terms


@pytest.mark.parametrize(
    ("terms", "deny", "is_denied"),
    [
        ("MIT", [], False),
        ("bsd-3-clause", [], False),
        ("MIT OR GPL-3.0-only", [], False),
        ("MIT AND GPL-3.0-only", [], True),
        ("MIT AND (GPL-3.0-only OR BSD-3-Clause)", [], False),
        ("MIT WITH Classpath-exception-2.0", [], False),
        ("BSD-4-Clause", ["BSD-4-*"], True),
        ("BSD-4-Clause OR MIT", ["BSD-4-*"], False),
    ],
)
def test_expressions_are_evaluated(terms: str, deny: list[str], is_denied: bool) -> None:  # noqa: FBT001
    """Of A OR B the user chooses one; A AND B binds by both."""
    assert bool(decided(project(1, {0: License(SHA256, terms)}), wheel_name(0), deny=deny)) is is_denied


def test_a_list_of_what_is_denied_lets_all_else_in() -> None:
    """Without `allow`."""
    value: dict[str, Any] = {"allow": None, "deny": ["AGPL-*"]}
    assert decided(project(1, {0: gpl()}), wheel_name(0), **value) is None
    assert decided(project(1, {0: License(SHA256, "AGPL-3.0-only")}), wheel_name(0), **value)


@pytest.mark.parametrize(
    ("terms", "deny", "is_denied"),
    [
        ("GPL-3.0", "GPL-3.0-*", True),
        ("GPL-3.0+", "GPL-3.0-*", True),
        ("AGPL-3.0", "AGPL-3.0-only", True),
        ("AGPL-3.0+", "AGPL-3.0-or-later", True),
        ("AGPL-3.0", "AGPL-3.0-or-later", False),
        ("AGPL-3.0-only", "AGPL-3.0", True),
        ("AGPL-3.0-or-later", "agpl-3.0+", True),
        ("GPL-2.0-only+", "GPL-2.0-or-later", True),
        ("GPL-2.0-or-later+", "GPL-2.0-or-later", True),
        ("GPL-2.0-with-classpath-exception", "GPL-2.0-only", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-with-classpath-exception", True),
        ("GPL-2.0 WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only", "GPL-2.0-with-classpath-exception", False),
        ("wxWindows", "LGPL-*", True),
        ("MPL-1.1+", "MPL-1.1", True),
        ("MPL-1.1", "MPL-1.1+", False),
        ("MIT", "*GPL-*", False),
    ],
)
def test_a_license_is_denied_in_all_of_its_spellings(terms: str, deny: str, is_denied: bool) -> None:  # noqa: FBT001
    """SPDX has given some licenses other ids; old ones are still stated, and still written into rules."""
    facts = project(1, {0: License(SHA256, terms)})
    assert bool(decided(facts, wheel_name(0), allow=None, deny=[deny])) is is_denied
    assert bool(decided(facts, wheel_name(0), allow=[deny])) is not is_denied


def test_what_nobody_knows_is_decided_by_choice() -> None:
    """Denied if nothing is said; what is not read yet is no choice."""
    silent = project(1, {0: License(SHA256)})
    assert decided(silent, wheel_name(0))
    assert decided(silent, wheel_name(0), unknown="allow") is None
    unread = decided(project(1, {}), wheel_name(0), unknown="allow")
    assert unread is not None
    assert "not read yet" in unread.reason
    failed = decided(
        project(1, {0: License(SHA256, problem="could not be fetched", again=NOW + 9)}), wheel_name(0)
    )
    assert failed is not None
    assert failed.until == NOW + 9
    assert decided(ProjectFacts("demo", filenames=["demo-1.zip"]), "demo-1.zip")
    assert decided(ProjectFacts("demo", filenames=["demo-1.zip"]), "demo-1.zip", unknown="allow") is None
    assert decided(project(1, {0: gpl()}), wheel_name(0), exempt=["de*"]) is None


def test_a_file_passes_as_those_around_it_until_its_own_metadata_is_read() -> None:
    """Reading all metadata of a project with thousands of files would take the upstream's line for itself."""
    facts = project(9, {0: mit(), 3: mit(), 4: gpl(), 8: gpl()})
    assert [bool(decided(facts, wheel_name(minor))) for minor in range(9)] == [False] * 4 + [True] * 5
    assert decided(facts, "demo-0.1.zip")
    between = project(9, {0: mit(), 4: gpl()})
    assert decided(between, wheel_name(2)), "both of its neighbours must pass"


def test_no_file_is_looked_at_when_all_that_is_known_passes() -> None:
    """Pages have thousands."""
    policy = evaluation.build("", {"licenses": VALUE}, rules.BUILDERS)
    facts = project(9, {0: mit(), 8: mit()})
    assert evaluation.judge_of([policy], facts, NOW) is None
    # Whoever asks for a file gets it by its own license.
    assert evaluation.judge_of([policy], project(9, {0: mit(), 8: mit()}, whole=False), NOW)


def test_metadata_is_read_where_the_license_changes() -> None:
    """First and last, then halves: one reading more for each doubling of the files."""
    (rule,) = evaluation.build("", {"licenses": VALUE}, rules.BUILDERS).rules
    assert isinstance(rule, EvidenceRule)
    stated: dict[int, License] = {}
    for _ in range(20):
        asked = [name.filename for name in rule.wanted(project(1000, stated), list, NOW)]
        if not asked:
            break
        numbers = [int(name.split(".")[1].partition("-")[0]) for name in asked]
        stated |= {number: mit() if number < 700 else gpl() for number in numbers}
    assert len(stated) <= 12
    assert {699, 700} <= set(stated)
    assert rule.needs(FileFacts(project(2, {}), file_object(wheel_name(0))), NOW) == "license"
    assert rule.needs(FileFacts(project(2, {0: mit()}), file_object(wheel_name(0))), NOW) is None
    assert rule.needs(FileFacts(project(2, {}), file_object("demo-1.zip")), NOW) is None


@pytest.mark.parametrize("value", [None, {}, {**VALUE, "unknown": "perhaps"}, {**VALUE, "exempt": ["a b"]}])
def test_a_value_that_cannot_be_read_denies_everything(value: object) -> None:
    """It may come from another version of the mirror."""
    policy = evaluation.build("", {"licenses": value}, rules.BUILDERS)
    facts = project(1, {0: mit()})
    assert evaluation.judge_of([policy], facts, NOW)

"""Tests of which jobs are a publisher's, and what cannot be declared."""

from typing import Any

import pytest

from mirror.plugin.publishing import trusted_publishers
from mirror.plugin.publishing.trusted_publishers import TrustedPublisher, TrustedPublishers

ISSUER = "https://ci.example.com"
FILE = "acme/web/.github/workflows/release.yml"
JOB: dict[str, Any] = {
    "index": "company/dev",
    "projects": ["acme-*", "shop"],
    "issuer": ISSUER,
    "claims": {"repository": "acme/web"},
}
CLAIMS = {"iss": ISSUER, "repository": "acme/web", "ref": "refs/heads/main", "sha": "0" * 40}


def parsed(*publishers: object, **more: object) -> TrustedPublishers:
    return trusted_publishers.parse({"audience": "p.example.com", "publishers": publishers, **more})


def publisher(**more: object) -> TrustedPublisher:
    (found,) = parsed({**JOB, **more}).publishers
    return found


def test_projects_are_names_and_patterns_as_a_whole() -> None:
    """A name is not the beginning of others, and case was normalised away before."""
    projects = ("acme-web", "acme-", "acme", "shop", "shopping", "a-shop", "ACME-web")
    assert [name for name in projects if publisher().takes(name)] == ["acme-web", "acme-", "shop"]
    assert publisher().owner == "company"


@pytest.mark.parametrize(
    ("ref", "is_meant"),
    [
        ("refs/tags/v1.0", True),
        ("refs/tags/", True),
        ("refs/tags/v1/x", True),  # * of fnmatch takes slashes: documented as a pattern for the whole ref
        ("refs/tags", False),
        ("REFS/tags/v1", False),
        ("x/refs/tags/v1", False),
        (None, False),
        (7, False),
        (["refs/tags/v1"], False),
    ],
    ids=str,
)
def test_a_pattern_for_the_ref_must_match_it(ref: object, is_meant: bool) -> None:  # noqa: FBT001
    """A claim that is missing, or is no text, matches no pattern, not even *."""
    assert publisher(ref="refs/tags/*").is_of({**CLAIMS, "ref": ref}) is is_meant
    assert publisher(ref="*").is_of({**CLAIMS, "ref": ref}) is isinstance(ref, str)
    assert publisher().is_of({**CLAIMS, "ref": ref})


@pytest.mark.parametrize(
    ("file", "more", "is_meant"),
    [
        (f"{FILE}@refs/heads/main", {}, True),
        (f"{FILE}@{'0' * 40}", {}, True),  # by commit, as for jobs that a tag starts
        (f"{FILE}@refs/heads/other", {}, False),
        (f"{FILE}@", {}, False),
        (FILE, {}, False),
        (f"{FILE}@", {"ref": ""}, False),
        (f"{FILE}@None", {"ref": None, "sha": None}, False),
        (f"{FILE}@refs/heads/main", {"ref": None}, False),
        (f"None/.github/workflows/release.yml@{'0' * 40}", {}, False),
    ],
)
def test_the_workflow_is_the_file_of_the_jobs_own_commit(
    file: str,
    more: dict[str, str | None],
    is_meant: bool,  # noqa: FBT001
) -> None:
    """A workflow of another branch has been reviewed by nobody; without ref and commit there is none."""
    mine = publisher(workflow=".github/workflows/release.yml")
    assert mine.is_of({**CLAIMS, **more, "job_workflow_ref": file}) is is_meant


def test_all_claims_must_be_there_as_texts_and_the_issuer_is_the_publishers() -> None:
    """Else a job would be of a publisher because of one of two claims, or by another CI's word."""
    mine = publisher(claims={"repository": "acme/web", "environment": "1"})
    assert mine.is_of({**CLAIMS, "environment": "1"})
    for wrong in ({}, {"environment": 1}, {"environment": None}, {"environment": "1", "repository": "x"}):
        assert not mine.is_of({**CLAIMS, **wrong})
    assert not mine.is_of({**CLAIMS, "environment": "1", "iss": f"{ISSUER}/"})
    assert not mine.is_of({"repository": "acme/web", "environment": "1"})


def test_any_change_to_a_publisher_makes_it_another_one() -> None:
    """The tokens that were given to its jobs end with its id: projects that it lost are not uploaded."""
    changes: list[dict[str, object]] = [
        {"projects": ["shop"]},
        {"index": "company/prod"},
        {"claims": {"repository": "acme/other"}},
        {"workflow": "x"},
        {"ref": "*"},
        {"keys": {"keys": []}},
    ]
    assert len({publisher(**change).id for change in ({}, *changes)}) == 7
    reordered = dict(reversed(JOB.items()))
    assert parsed(reordered).publishers[0].id == publisher().id


def test_publishers_are_found_by_job_by_id_and_by_issuer() -> None:
    """A job may be of several; an id that is not declared any more is nobody's."""
    other = {**JOB, "index": "company/prod", "issuer": "https://other.example.com", "keys": {"keys": []}}
    found = parsed(JOB, {**JOB, "index": "company/prod"}, other)
    assert [each.index for each in found.of(CLAIMS)] == ["company/dev", "company/prod"]
    assert found.of({**CLAIMS, "repository": "x"}) == []
    first = found.publishers[0]
    assert found.named(["", "0" * 16, first.id, first.id]) == [first]
    assert (found.knows(ISSUER), found.knows(None), found.knows("")) == (True, False, False)
    assert (found.keys(ISSUER), found.keys(other["issuer"])) == (None, '{"keys": []}')
    assert found.audience == "p.example.com"
    assert found
    assert not parsed()
    assert not trusted_publishers.parse({})


@pytest.mark.parametrize(
    "wrong",
    [
        {**JOB, "projects": []},
        {**JOB, "claims": {}},
        {name: value for name, value in JOB.items() if name != "issuer"},
        {name: value for name, value in JOB.items() if name != "claims"},
        {**JOB, "claims": ["repository"]},
        {**JOB, "index": 5},
        "company/dev",
        None,
    ],
    ids=str,
)
def test_what_is_no_publisher_cannot_be_declared(wrong: object) -> None:
    """One without claims would be everybody; a record that is damaged must not let anybody in."""
    with pytest.raises(ValueError, match="publisher"):
        parsed(JOB, wrong)
    with pytest.raises(ValueError, match="publishers are tables"):
        trusted_publishers.parse([])

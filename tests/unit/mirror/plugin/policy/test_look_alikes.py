"""Names that look like one of ours, and those that do not."""

import pytest

from mirror.plugin.policy import evaluation, look_alikes, rules
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple.file_rows import FileObject

OWN = frozenset({"acme-billing", "billing", "abc", "acme-*"})


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("acme-biling", "acme-billing"),
        ("acme-bbilling", "acme-billing"),
        ("acme-villing", "acme-billing"),
        ("amce-billing", "acme-billing"),
        ("acmebilling", "acme-billing"),
        ("ac-me-billing", "acme-billing"),
        ("billing-acme", "acme-billing"),
        ("bilinlg", None),  # two edits
        ("billing", None),  # it is ours
        ("billings", "billing"),
        ("abd", None),  # short names are near to half of all
        ("flask", None),
        ("acme-invoices", None),
    ],
)
def test_what_looks_like_one_of_ours(name: str, own: str | None) -> None:
    """One edit, swapped words, another separator."""
    assert look_alikes.of(name, OWN) == own


def test_the_rule_denies_projects_of_upstreams_alone() -> None:
    """A name that we uploaded ourselves is ours."""
    policy = evaluation.build("", {"look_alikes": True}, rules.BUILDERS)
    for is_upload in (False, True):
        project = ProjectFacts("billings", is_upload=is_upload, reserved=OWN)
        judge = evaluation.judge_of([policy], project, 0.0)
        denied = judge and judge(FileFacts(project, FileObject("billings-1.0.zip", "", {})))
        assert bool(denied) is not is_upload

"""Names of licenses in mirror.toml that mean nothing are found, with one that was perhaps meant."""

import pytest

from mirror.policy import license_names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Apache", "Apache-1.0, Apache-1.1, Apache-2.0"),
        ("Apache-2", "Apache-2.0"),
        ("MTI", "MIT"),
        ("GPL-3", "GPL-3.0, GPL-3.0+, GPL-3.0-only"),
        ("Zzz-*", ""),
        ("MIT WITH Nothing-At-All", ""),
    ],
)
def test_a_license_that_spdx_does_not_know_is_named_with_a_near_one(name: str, near: str) -> None:
    """A misspelt `allow` lists nothing, a misspelt `deny` denies nothing."""
    hint = f", did you mean {near}?" if near else ""
    said = f"names the license {name}, which is not on SPDX's list and fits no file{hint}"
    assert list(license_names.unknown({"": {"licenses": {"allow": [name], "deny": []}}})) == [
        f"[policy] {said}"
    ]
    of_one = {"company/prod": {"licenses": {"allow": None, "deny": ["MIT", name]}}}
    assert list(license_names.unknown(of_one)) == [f"the policy of company/prod {said}"]


def test_ids_of_all_kinds_and_patterns_pass() -> None:
    """In any case, with an exception, of before, and names of one's own."""
    names = ["mit", "BSD-*", "GPL-2.0+", "GPL-3.0", "GPL-2.0-only WITH Classpath-exception-2.0"]
    names += ["LicenseRef-Proprietary", "licenseref-*", "*", "GPL-2.0-with-font-exception", "bzip2-1.0.5"]
    assert list(license_names.unknown({"": {"licenses": {"allow": names, "deny": []}}, "a/b": {}})) == []

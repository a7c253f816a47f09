"""Names of licenses in mirror.toml that mean nothing are found, with one that was perhaps meant."""

import pytest
from packaging.licenses import canonicalize_license_expression

from mirror.plugin.policy import license_terms
from mirror.policy import license_names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Apache", "Apache-1.0, Apache-1.1, Apache-2.0"),
        ("Apache-2", "Apache-2.0"),
        ("MTI", "MIT"),
        ("GPL", "GPL-1.0-only, GPL-2.0-only, GPL-3.0-only"),
        ("GPL-3", "GPL-3.0-only, GPL-3.0-or-later"),
        ("GPLv3", "GPL-3.0-only, GPL-3.0-or-later"),
        ("GPL 3", "GPL-3.0-only, GPL-3.0-or-later"),
        ("GPLv2+", "GPL-2.0-only, GPL-2.0-or-later"),
        ("LGPL", "LGPL-2.0-only, LGPL-2.1-only, LGPL-3.0-only"),
        ("MIT License", "MIT"),
        ("GPL2", "GPL-2.0-only, GPL-2.0-or-later"),
        ("BSD-2", "BSD-2-Clause, BSD-2-Clause-Views, BSD-2-Clause-Darwin"),
        ("Classpath-exception-2.0", "* WITH Classpath-exception-2.0"),
        ("MIT OR Apache-2.0", "Apache-2.0"),
        ("MIT WITH MIT", ""),
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
    names += ["* WITH Classpath-exception-2.0", "*-exception-*", "MIT+", "GPL-2.0-only with llvm-exception"]
    assert list(license_names.unknown({"": {"licenses": {"allow": names, "deny": []}}, "a/b": {}})) == []


@pytest.mark.parametrize(
    "name", ["GPL-2.0 with Classpath-exception-2.0", "gpl-3.0", "BSD-2-Clause-NetBSD", "wxwindows"]
)
def test_what_passes_means_a_license_that_a_rule_finds(name: str) -> None:
    """By the id of now, and by that of before, which metadata may still state."""
    assert list(license_names.unknown({"": {"licenses": {"allow": [name], "deny": []}}})) == []
    stated = canonicalize_license_expression(name)
    found = [
        each for each in license_terms.names(stated) if each.lower() == license_terms.current(name).lower()
    ]
    assert found

"""The lint job that looks for known vulnerabilities, and the version of setuptools that builds us."""

import json
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support import advisories

ROOT = Path(__file__).parents[3]
LOCK = "a==1.5 \\\n    --hash=sha256:0\nb==2.0 ; python_full_version < '3.12' \\\n    --hash=sha256:1\n"


def advisory(*events: tuple[str, str], versions: tuple[str, ...] = ()) -> advisories.Advisory:
    return {"id": "X-1", "aliases": ["CVE-1"], "name": "a", "events": events, "versions": versions}


@pytest.mark.parametrize(
    ("events", "versions", "affected"),
    [
        ([("introduced", "0"), ("fixed", "1.6")], (), True),
        ([("introduced", "0"), ("fixed", "1.5")], (), False),
        ([("introduced", "1.6")], (), False),
        ([("introduced", "1.5"), ("last_affected", "1.5")], (), True),
        ([("introduced", "0"), ("fixed", "1.0"), ("introduced", "1.2"), ("fixed", "1.5.1")], (), True),
        ([("introduced", "0"), ("fixed", "1.0"), ("introduced", "1.6")], (), False),
        ([], ("1.4", "1.5"), True),
    ],
)
def test_a_version_in_a_range_of_an_advisory_is_found(
    events: list[tuple[str, str]],
    versions: tuple[str, ...],
    affected: bool,  # noqa: FBT001
) -> None:
    """Ranges may have several parts (OSV schema, evaluation)."""
    assert advisories.affects(advisory(*events, versions=versions), Version("1.5")) is affected


def test_a_vulnerable_version_fails_and_so_does_a_package_that_was_never_looked_up() -> None:
    """A file that is too old for the lock must not pass for a good one."""
    known = {"names": ["a"], "advisories": [advisory(("introduced", "0"))]}
    assert list(advisories.found(known, LOCK)) == [
        "a 1.5 has X-1 (CVE-1)",
        "b is not in advisories.json: run `make advisories`",
    ]


def test_every_lock_was_looked_up() -> None:
    """`make lock` may add packages."""
    known = json.loads(advisories.FILE.read_text())
    for lock in advisories.LOCKS:
        assert list(advisories.found(known, lock.read_text())) == []


def test_we_are_built_by_the_setuptools_of_the_lock() -> None:
    """Whatever is newest on an index on the day of a build would run in it."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    lock = dict(advisories.pinned((ROOT / "requirements-dev.lock").read_text()))
    assert built == [f"setuptools=={lock['setuptools']}"]

"""The locks of development and of servers, which `make lock` renews."""

from pathlib import Path

import pytest

from tests.support import advisories

ROOT = Path(__file__).parents[2]
DEVELOPMENT = ROOT / "requirements-dev.lock"
# Packages that tools of development hold back, and why servers have later ones.
HELD_BACK = {"python-dateutil"}  # by botocore, an extra that no server has; strictyaml alone needs it there


@pytest.mark.parametrize("lock", ["mirror/files/requirements.txt", "app_host/files/toolbox.txt"])
def test_servers_get_the_versions_that_tests_ran_with(lock: str) -> None:
    """Another one has been seen by nobody; provisioned hosts test those that are held back."""
    tested = dict(advisories.pinned(DEVELOPMENT.read_text()))
    served = dict(advisories.pinned((ROOT / "ansible/roles" / lock).read_text()))
    assert {name for name, version in served.items() if tested.get(name) != version} <= HELD_BACK

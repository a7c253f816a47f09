"""The promises of release.config.root_login: one answer for Ansible and for all other commands."""

from pathlib import Path

import pytest

from release.config import release_toml, root_login
from release.provision import inventory
from release.services import reach

TEXT = """\
app = "shop"
index = "https://pypi.example.com/company/prod"
[addresses]
web1 = "10.0.0.1"
web2 = "10.0.0.2"
web3 = "10.0.0.3"
db1 = "10.0.0.4"
lb1 = "10.0.0.5"
store = "10.0.0.6"
[targets.production]
hosts = ["web1", "web2"]
services = ["db", "cache"]
balancer = { hosts = ["lb1", "db1"], user = "balance" }
provision = { user = "admin", python = "/opt/python" }
[targets.staging]
hosts = ["web3"]
balancer = { hosts = ["lb1"], user = "root" }
[services.db]
kind = "postgresql"
hosts = ["db1"]
user = "root"
backup = { copy_to = "store" }
[services.cache]
kind = "redis"
hosts = ["web3"]
user = "cache"
[mirror]
hosts = ["web1", "web3", "pypi"]
user = "root"
"""


@pytest.mark.parametrize(
    ("host", "user", "python"),
    [
        ("web1", "admin", "/opt/python"),
        ("web3", "cache", "/usr/bin/python3"),  # its target leaves it open
        ("db1", "balance", "/opt/python"),
        ("lb1", "balance", "/opt/python"),
        ("pypi", "root", "/usr/bin/python3"),
        ("store", None, "/usr/bin/python3"),
    ],
)
def test_all_commands_log_in_as_the_same_user(
    tmp_path: Path, host: str, user: str | None, python: str
) -> None:
    """A host may be in several tables: keys and sudo are there for one of the users."""
    (tmp_path / "release.toml").write_text(TEXT)
    config = release_toml.load(tmp_path)
    assert root_login.of(config, host) == (user, python)
    assert reach.host(config, host).user == user
    found = inventory.of(config, tmp_path)["_meta"]["hostvars"][host]
    assert (found.get("ansible_user"), found["ansible_python_interpreter"]) == (user, python)
    assert found["ansible_become"] == (user != "root")

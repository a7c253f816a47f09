"""The promises of release.provision.firewall."""

from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.provision import inventory

HEAD = 'app = "shop"\nindex = "https://pypi.example.com/company/prod"\n'
TARGET = '[targets.production]\nhosts = ["web1", "web2"]\n'


def variables(folder: Path, text: str, host: str = "web1", named: str | None = None) -> dict[str, Any]:
    (folder / "release.toml").write_text(f"{HEAD}{text}")
    found = inventory.of(release_toml.load(folder), folder, named)
    known: dict[str, Any] = found["_meta"]["hostvars"][host]
    return known


def let_in(folder: Path, text: str, host: str = "web1", named: str | None = None) -> list[tuple[str, ...]]:
    """Port and networks of all rules."""
    fragment = variables(folder, text, host, named)["packhorse_firewall"]
    return [(rule["port"], *rule["from"]) for rule in fragment["allow"]]


def test_hosts_get_none_unless_the_table_is_there(tmp_path: Path) -> None:
    """It may be the cloud's, or the administrator's."""
    assert variables(tmp_path, TARGET)["packhorse_firewall"] is None
    skipped = f'{TARGET}[firewall]\nskip = ["web1"]\n'
    assert variables(tmp_path, skipped)["packhorse_firewall"] is None
    assert variables(tmp_path, skipped, "web2")["packhorse_firewall"] is not None


def test_http_is_open_where_a_vhost_is(tmp_path: Path) -> None:
    """Hosts with workers alone answer nobody."""
    assert let_in(tmp_path, f"{TARGET}[firewall]\n") == [("80",), ("443",)]
    assert let_in(tmp_path, f"{TARGET}domains = []\n[firewall]\n") == []


def test_behind_a_balancer_http_is_open_to_that_alone(tmp_path: Path) -> None:
    """Who asks a host itself comes past what the balancer decides."""
    balancer = '[targets.production.balancer]\nhosts = ["front1", "front2"]\n[firewall]\n'
    hosts = 'web1 = "10.0.0.1"\nweb2 = "10.0.0.2"\nfront1 = "10.0.0.8"\nfront2 = "fd00::9"\n'
    text = f"{TARGET}{balancer}[addresses]\n{hosts}"
    assert let_in(tmp_path, text) == [("80", "10.0.0.8", "fd00::9"), ("443", "10.0.0.8", "fd00::9")]
    assert let_in(tmp_path, text, "front2") == [("80",), ("443",)]


def test_a_host_that_is_named_instead_of_a_target_gets_the_same(tmp_path: Path) -> None:
    """`release provision admin@web9`."""
    assert let_in(tmp_path, f"{TARGET}[firewall]\n", "web9", "admin@web9") == [("80",), ("443",)]


@pytest.mark.parametrize(
    ("front", "ports"),
    [
        ("", [("80",)]),
        ('[front]\nlisten = "8080"\n', [("8080",)]),
        ('[front]\nlisten = "[::]:443"\n', [("443",)]),
        ('[front]\nlisten = "unix:/run/mirror.sock"\n', []),
    ],
)
def test_the_mirror_has_the_port_of_its_front(
    tmp_path: Path, front: str, ports: list[tuple[str, ...]]
) -> None:
    """devpi-server's own is asked by nginx alone."""
    (tmp_path / "mirror.toml").write_text(front)
    assert let_in(tmp_path, '[mirror]\nhosts = ["pypi"]\n[firewall]\n', "pypi") == ports


def test_a_service_is_open_to_the_hosts_that_use_it(tmp_path: Path) -> None:
    """At the addresses at which the others see them; what shares a host with it uses loopback."""
    text = (
        '[targets.production]\nhosts = ["web1", "db1"]\ndomains = []\nservices = ["db", "cache"]\n'
        '[targets.staging]\nhosts = ["test1"]\nservices = ["db"]\n'
        '[targets.other]\nhosts = ["web9"]\n'
        '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\n'
        '[services.cache]\nkind = "redis"\nhosts = ["web1"]\n'
        '[services.unused]\nkind = "mariadb"\nhosts = ["db1"]\n[firewall]\n'
        '[addresses]\nweb1 = ["10.0.0.1", "fd00::1"]\ndb1 = "10.0.0.2"\ntest1 = "10.0.0.3"\n'
    )
    assert let_in(tmp_path, text, "db1") == [("5432", "10.0.0.1", "fd00::1", "10.0.0.3")]
    assert let_in(tmp_path, text, "web1") == [("6379-6878", "10.0.0.2")]


def test_what_is_declared_is_where_it_is_declared(tmp_path: Path) -> None:
    """On all hosts, on hosts, on the hosts of targets."""
    rules = (
        "[firewall]\n[[firewall.allow]]\nport = 1\n"
        '[[firewall.allow]]\nport = 2\nhosts = ["web2"]\nfrom = ["10.0.0.0/8"]\n'
        '[[firewall.allow]]\nport = 3\ntargets = ["staging"]\n'
    )
    text = f'{TARGET}domains = []\n[targets.staging]\nhosts = ["test1"]\ndomains = []\n{rules}'
    assert let_in(tmp_path, text) == [("1",)]
    assert let_in(tmp_path, text, "web2") == [("1",), ("2", "10.0.0.0/8")]
    assert let_in(tmp_path, text, "test1") == [("1",), ("3",)]


@pytest.mark.parametrize(
    ("firewall", "said"),
    [
        ('skip = ["wbe1"]', "firewall.skip: there is no wbe1"),
        ('[[firewall.allow]]\nport = 1\nhosts = ["wbe1"]', "firewall.allow.0.hosts: there is no wbe1"),
        ('[[firewall.allow]]\nport = 1\ntargets = ["stagin"]', "allow.0.targets: there is no stagin"),
    ],
)
def test_a_name_that_is_misspelled_is_no_rule_that_is_nowhere(
    tmp_path: Path, firewall: str, said: str
) -> None:
    """It would be noticed when it is missing."""
    with pytest.raises(PackhorseError, match=said):
        variables(tmp_path, f"{TARGET}[firewall]\n{firewall}\n")


def test_who_may_ask_what_measures_a_host_is_let_in(tmp_path: Path) -> None:
    """Without `from` a host answers to itself alone."""
    table = f'{TARGET}domains = []\n[firewall]\n[monitoring]\nkind = "node-exporter"\n'
    assert let_in(tmp_path, table) == []
    assert let_in(tmp_path, f'{table}from = ["10.0.0.9", "fd00::/64"]\n') == [
        ("9100", "10.0.0.9", "fd00::/64")
    ]
    munin = table.replace("node-exporter", "munin-node")
    assert let_in(tmp_path, f'{munin}from = ["10.0.0.9"]\n', "web9", "admin@web9") == [
        *[("80",), ("443",)],
        ("4949", "10.0.0.9"),
    ]


def test_copies_of_backups_come_in_by_ssh(tmp_path: Path) -> None:
    """Only where ssh is limited; the host of the database sends them."""
    service = '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\n[services.db.backup]\ncopy_to = "web1"\n'
    text = f'{TARGET}services = ["db"]\n{service}[addresses]\n' + "".join(
        f'{name} = "10.0.0.{number}"\n' for number, name in enumerate(("web1", "web2", "db1"), 1)
    )
    limited = f'{text}[firewall]\nssh_from = ["192.0.2.0/24"]\n'
    found = [
        variables(tmp_path, limited, host)["packhorse_firewall"]["ssh_from"] for host in ("web1", "web2")
    ]
    assert found == [["192.0.2.0/24", "10.0.0.3"], ["192.0.2.0/24"]]
    assert variables(tmp_path, f"{text}[firewall]\n")["packhorse_firewall"]["ssh_from"] == []


def test_hosts_of_a_target_reboot_one_after_the_other(tmp_path: Path) -> None:
    """After an update of the kernel all of them would be away at once."""
    assert variables(tmp_path, TARGET)["packhorse_updates"] is None
    assert variables(tmp_path, f"{TARGET}[updates]\n")["packhorse_updates"] == {"reboot_at": None}
    text = f'{TARGET}[updates]\nreboot_at = "23:55"\n'
    found = [variables(tmp_path, text, host)["packhorse_updates"]["reboot_at"] for host in ("web1", "web2")]
    assert found == ["23:55", "00:05"]

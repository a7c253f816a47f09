"""The promises of release.provision.databases."""

import re

from release.config.release_toml import ReleaseConfig
from release.config.servers.firewall import Firewall
from release.config.servers.services import BackupSettings, Service
from release.config.target.target import Target
from release.provision import databases

ADDRESSES = {"web1": ["10.0.0.1", "fd00::1"], "web2": ["10.0.0.2"], "db1": ["10.0.0.9"]}


def config(hosts: list[str], place: str = "db1", version: str | None = None) -> ReleaseConfig:
    return ReleaseConfig(
        app="shop",
        targets={"production": Target(hosts=hosts, services=["db"])},
        services={"db": Service(kind="postgresql", hosts=[place], version=version)},
        addresses=ADDRESSES,
    )


def test_only_the_hosts_of_the_target_are_let_in() -> None:
    """By all their addresses, as which one they come from is the network's to say."""
    assert databases.request(config(["web1", "web2"], version="15"), "production", "db") == {
        "name": "shop_production_db",
        "kind": "postgresql",
        "version": "15",
        "clients": ["10.0.0.1", "fd00::1", "10.0.0.2"],
        "listen": ["10.0.0.9"],
        "host": "10.0.0.9",
        "ports": None,
        "backup": {"at": "daily", "keep": 7, "copy_to": None},
    }


def test_a_database_on_the_applications_only_host_is_in_no_network() -> None:
    """And needs no address of the host."""
    made = databases.request(config(["elsewhere"], "elsewhere"), "production", "db")
    assert (made["clients"], made["listen"], made["host"]) == (["127.0.0.1"], [], "127.0.0.1")


def test_a_database_on_one_of_several_hosts_is_reached_by_all_at_one_address() -> None:
    """They have one configuration, and so one URL."""
    made = databases.request(config(["web1", "web2"], "web2"), "production", "db")
    assert (made["clients"], made["listen"], made["host"]) == (
        ["10.0.0.1", "fd00::1", "10.0.0.2"],
        ["10.0.0.2"],
        "10.0.0.2",
    )


def test_a_host_hears_which_port_its_firewall_opens() -> None:
    """Its server may listen at another one, and would be out of reach."""
    walled = config(["web1"]).model_copy(update={"firewall": Firewall()})
    assert databases.request(walled, "production", "db")["ports"] == "5432"
    left_out = walled.model_copy(update={"firewall": Firewall(skip=["db1"])})
    assert databases.request(left_out, "production", "db")["ports"] is None
    at_home = config(["db1"]).model_copy(update={"firewall": Firewall()})
    assert databases.request(at_home, "production", "db")["ports"] is None


def test_each_service_brings_its_copies_with_a_key_of_its_own() -> None:
    """A host has databases of several projects and services, each with its own number of copies to keep."""
    service = Service(kind="postgresql", hosts=["db1"], backup=BackupSettings(keep=3, copy_to="vault"))
    copying = config(["web1"]).model_copy(
        update={"services": {"db": service}, "addresses": {**ADDRESSES, "vault": ["10.0.0.20"]}}
    )
    (made,) = databases.of(copying, "db", None)
    former = made["copies"].pop("former")
    assert made["copies"] == {"to": "vault", "key": "shop_db", "origin": "shop_db@db1", "keep": 3}
    line = 'restrict,command="/usr/local/sbin/packhorse-copies receive {0} 3 30" ssh-ed25519 AAAA # {0}\n'
    kept = ["shop_db@db1", "other_db@db1", "shop-2_db@db1", "shop@vault"]
    gone = ["shop_db@db2", "shop_db@db1.example.com", "shop_cache@db1", "shop_db@2001:db8::1"]
    assert [each for each in kept + gone if re.search(former, line.format(each))] == gone
    assert databases.of(config(["web1"]), "db", None)[0]["copies"] == {}

"""The promises of release.provision.summary."""

from pathlib import Path

import pytest

from release.config.release_toml import ReleaseConfig
from release.config.servers.services import Service
from release.config.target.target import Target
from release.provision import summary
from release.provision.summary import Prepared

ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleEx"


def test_keys_are_known_by_their_comments() -> None:
    """That is how people recognise them; options may stand before, and a comment may be missing."""
    first = f'from="10.0.0.0/8" ssh-ed25519 {ED25519} ann@laptop, the new one\n# no key\n'
    second = f"sk-ssh-ed25519@openssh.com {ED25519}\n"
    assert summary.key_names(first + second) == ("ann@laptop, the new one", f"…{ED25519[-12:]}")


def test_who_may_deploy_and_what_is_next_is_said() -> None:
    """Hosts that are alike are named together."""
    prepared = [Prepared("web1", ("ann",), "http://a/"), Prepared("web2", ("ann",), "http://a/")]
    assert list(summary.of_target(prepared, "shop", "production")) == [
        "web1, web2: deploys log in as shop, with the keys of ann.",
        "URL of the application, once it is deployed: http://a/",
        "Next: release deploy production",
    ]


def test_who_may_not_deploy_learns_it_before_the_deploy() -> None:
    """With the way in, and without a word about what nobody could look at."""
    prepared = [Prepared("web1", refusal="shop may not log in: …. release provision lets your key in")]
    assert list(summary.of_target(prepared, "shop", "web1")) == [
        "web1: from here nobody can deploy yet: shop may not log in: …. release provision lets your key in",
        "Next: release deploy web1",
    ]


def test_a_host_to_which_nothing_leads_is_said_to_be_one() -> None:
    """Who deploys would wait for visitors."""
    said = list(summary.of_target([Prepared("web1", ("ann",))], "shop", "web1"))
    assert said[1].startswith("No vhost of ours leads to the application")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://pypi.example.com"),
        ({"front": {"server_name": "_", "listen": "[::]:8080"}}, "http://pypi.example.com:8080"),
        (
            {"front": {"server_name": "packages.example.com", "listen": "443", "tls_certificate": "/a"}},
            "https://packages.example.com",
        ),
        ({"outside_url": "https://out.example.com/"}, "https://out.example.com"),
    ],
)
def test_clients_find_the_mirror_where_its_settings_say(settings: dict[str, object], url: str) -> None:
    """The address goes into release.toml and pip's settings."""
    assert summary.mirror_url(settings, "pypi.example.com") == url


def test_the_place_of_the_mirror_s_passwords_is_said_and_no_password() -> None:
    """Uploads need one."""
    lines = list(summary.of_mirror({}, ["pypi.example.com"]))
    assert f"ssh pypi.example.com sudo cat {summary.CREDENTIALS}" in lines[1]
    assert lines[-1].startswith('Next: index = "http://pypi.example.com/company/dev" in release.toml')


def test_what_comes_after_a_database_is_said() -> None:
    """Provisioning brings the database; the application learns of it by one more command."""
    said = list(summary.of_target([Prepared("web1", ("ann",), "http://a/")], "shop", "production", ["db"]))
    assert said[-2:] == [
        "Next, where its URL is not set yet: release services attach db production",
        "Next: release deploy production",
    ]
    db = Service(kind="postgresql", hosts=["db1"])
    used = ReleaseConfig(
        app="shop", services={"db": db}, targets={"production": Target(hosts=["web1"], services=["db"])}
    )
    assert list(summary.of_service(used, "db")) == [
        "production has the database shop_production_db.",
        "Next, where its URL is not set yet: release services attach db production",
    ]
    assert list(summary.of_service(ReleaseConfig(app="shop", services={"db": db}), "db")) == [
        'No target has a database of it: services = ["db"] below [targets.…] in release.toml.'
    ]


def test_where_only_databases_were_prepared_only_what_is_next_of_them_is_said(tmp_path: Path) -> None:
    """--limit left the application's hosts out: nobody asks them."""
    config = ReleaseConfig(
        app="shop",
        services={"db": Service(kind="postgresql", hosts=["db1"])},
        targets={"production": Target(hosts=["web1"], services=["db"])},
    )
    assert list(summary.lines(config, tmp_path, "production", [])) == [
        "Next, where its URL is not set yet: release services attach db production"
    ]

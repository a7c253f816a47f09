"""The promises of release.provision.certificates, and of the inventory about certificates."""

from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.provision import inventory

TEXT = """\
app = "shop"
index = "https://pypi.example.com/company/prod"
[acme]
directory = "https://acme.example.com/directory"
contact = "ops@example.com"
terms_agreed = true
[targets.production]
hosts = ["web1", "web2"]
domains = ["shop.example.com"]
tls = "acme"
hsts = "1d"
BALANCER
[addresses]
web1 = "10.0.0.1"
web2 = ["fd00::2", "10.0.0.2"]
lb1 = "10.0.0.8"
lb2 = "10.0.0.9"
"""
AUTHORITY = {"directory": "https://acme.example.com/directory", "contact": "ops@example.com", "ca": ""}


def of(folder: Path, balancer: str = "", text: str = TEXT) -> dict[str, dict[str, Any]]:
    (folder / "release.toml").write_text(text.replace("BALANCER", balancer))
    found: dict[str, dict[str, Any]] = inventory.of(release_toml.load(folder), folder)["_meta"]["hostvars"]
    return found


def test_every_host_of_a_name_knows_where_the_others_are(tmp_path: Path) -> None:
    """The authority asks any of them."""
    found = of(tmp_path)
    assert [found[host]["packhorse_acme"] for host in ("web1", "web2")] == [AUTHORITY, AUTHORITY]
    assert found["web1"]["packhorse_acme_others"] == ["fd00::2", "10.0.0.2"]
    assert found["web2"]["packhorse_acme_others"] == ["10.0.0.1"]
    assert found["web1"]["packhorse_hsts"] == 86400


def test_with_balancers_the_certificate_is_there_and_not_behind_them(tmp_path: Path) -> None:
    """Clients arrive there, and the authority does."""
    found = of(tmp_path, 'balancer = { hosts = ["lb1", "lb2"] }')
    (led_to,) = found["lb1"]["packhorse_balanced"]
    assert (led_to["acme"], led_to["acme_others"], led_to["hsts"]) == (AUTHORITY, ["10.0.0.9"], 86400)
    assert (found["web1"]["packhorse_acme"], found["web1"]["packhorse_hsts"]) == ({}, None)
    assert found["web1"]["packhorse_acme_others"] == ["10.0.0.8", "10.0.0.9"], "DNS may still lead there"
    assert found["web1"]["packhorse_url"] == "https://shop.example.com/"


def test_a_private_authority_s_certificates_travel_and_private_keys_do_not(tmp_path: Path) -> None:
    """Whom hosts trust is no secret; a file with a key was named by mistake."""
    text = TEXT.replace("terms_agreed", 'ca_file = "ca.pem"\nterms_agreed')
    with pytest.raises(PackhorseError, match="cannot be read"):
        of(tmp_path, text=text)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    assert of(tmp_path, text=text)["web1"]["packhorse_acme"]["ca"].startswith("-----BEGIN CERTIFICATE")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(PackhorseError, match="is no certificate in PEM, or has a private key besides"):
        of(tmp_path, text=text)

"""The promises of release.host.system.certificate."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from release.host.disk import layout
from release.host.processes import public_address
from release.host.system import certificate


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("shop.example.com", True),
        ("www.shop.example.com", True),
        ("*.shop.example.com", True),
        ("a.www.shop.example.com", False),
        ("example.com", False),
    ],
)
def test_a_wildcard_stands_for_one_label(name: str, *, covered: bool) -> None:
    """RFC 6125, 6.4.3."""
    found = {"subjectAltName": (("DNS", "shop.example.com"), ("DNS", "*.SHOP.example.com"))}
    assert certificate.covers(found, name) == covered


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"reason": 1, "again": 2}', '{"reason": "x", "again": 1e99}']
)
def test_a_file_about_the_renewal_that_is_none_says_nothing(text: str) -> None:
    """A host answers what it likes."""
    assert certificate.renewal_failure(text) == ""


def test_a_renewal_that_failed_is_one_short_line() -> None:
    """With the time of the next try."""
    said = certificate.renewal_failure(json.dumps({"reason": "no\n" + "x" * 9000, "again": 3600.0}))
    assert said.startswith(": the authority is asked again after 1970-01-01 01:00 UTC, as it failed: no xx")
    assert len(said) < 800
    assert "\n" not in said


VHOST = "server {\n    server_name shop.example.com;\n"
BELIEVED = "    set_real_ip_from 10.0.0.8;\n    set_real_ip_from 10.0.0.9;\n"
BALANCED = f"# Clients arrive at https://shop.example.com/\n{VHOST}{BELIEVED}"


@pytest.mark.parametrize(
    ("vhost", "asked", "state"),
    [
        (VHOST, [], None),
        (f"{VHOST} ssl_certificate /a.pem;\n", [("127.0.0.1", 443)], "ok"),
        (f"{VHOST} include /etc/nginx/packhorse/shop.tl[s];\n", [], "warning"),
        (BALANCED, [("10.0.0.8", 443), ("10.0.0.9", 443)], "failed"),
        (BALANCED.replace("https", "http"), [], None),
    ],
    ids=["HTTP", "own", "none yet", "balancers", "balancers without TLS"],
)
def test_the_certificate_that_counts_is_where_clients_arrive(
    monkeypatch: pytest.MonkeyPatch, vhost: str, asked: list[tuple[str, int]], state: str | None
) -> None:
    """The worst one of several."""
    seen = []

    def served(
        _names: Sequence[str], address: tuple[str, int] = certificate.NGINX
    ) -> certificate.CertificateState:
        seen.append(address)
        return certificate.CertificateState("failed" if address[0] == "10.0.0.9" else "ok", "")

    monkeypatch.setattr(certificate, "served", served)
    monkeypatch.setattr(public_address, "vhost", lambda _layout: vhost)
    found = certificate.examine(layout.Layout("shop", layout.SERVER_ROOT, Path("/run")))
    assert (seen, found and found.state) == (asked, state)

"""Allowed hosts: which URLs an upstream may lead to, and at which addresses."""

import ipaddress
import json
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import OWN, AllowedHosts, HostRefusedError, UpstreamTransport

PUBLIC, INDEX = "https://index.example.com/simple/", "http://index.example.com:3141/root/+simple/"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:1::1"),
        *("100::1", "4000::1"),
    ],
)
def test_an_address_that_not_everybody_reaches_is_not_public(address: str) -> None:
    """Private, local, reserved, and IPv6 addresses that have such a one inside."""
    assert not allowed_hosts.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "192.88.98.1", "2606:4700::1111", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::101:101"),
        *("192.0.2.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    """64:ff9b:: is how networks of IPv6 alone reach IPv4 (RFC 6052); the last ones stand for public ones."""
    assert allowed_hosts.is_public(ipaddress.ip_address(address))


def asked(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    url: str,
    own: str,
    *addresses: str,
    named: tuple[str, ...] = (),
) -> list[str]:
    """The addresses connected to for `url`, when its host has `addresses`; nobody answers there."""
    connected: list[str] = []

    def look_up(_host: str, port: int, **_: object) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise OSError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    transport = UpstreamTransport(AllowedHosts(named, tmp_path / "refused"), ssl.create_default_context())
    with pytest.raises(httpx.ConnectError, match="nobody there"):
        transport.handle_request(httpx.Request("GET", url, extensions={OWN: own}))
    return connected


@pytest.mark.parametrize(
    ("url", "own", "address"),
    [
        ("https://files.example.com/x", PUBLIC, "1.1.1.1"),  # as the public index does
        ("https://files.example.com:8443/x", PUBLIC, "1.1.1.1"),
        ("https://files.example.com/x", INDEX, "1.1.1.1"),
        ("https://index.example.com/x", PUBLIC, "10.0.0.1"),  # a company's index, with its own certificate
        ("http://index.example.com:3141/x", INDEX, "10.0.0.1"),
        ("https://index.example.com/x", "http://index.example.com/", "10.0.0.1"),  # it moved to https
        ("http://127.0.0.1:3141/x", "http://127.0.0.1:3141/", "127.0.0.1"),
        ("http://localhost:3141/x", "http://localhost:3141/", "127.0.0.1"),
    ],
)
def test_an_upstream_may_lead_to_itself_and_by_https_to_public_hosts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, own: str, address: str
) -> None:
    """Without any setting."""
    assert asked(monkeypatch, tmp_path, url, own, address) == [address]


@pytest.mark.parametrize(
    ("url", "own", "address"),
    [
        ("http://files.example.com/x", PUBLIC, "1.1.1.1"),
        ("http://index.example.com/x", PUBLIC, "1.1.1.1"),  # from https to http
        ("http://files.example.com/x", INDEX, "1.1.1.1"),
        ("http://index.example.com/x", INDEX, "10.0.0.1"),  # another port
        ("https://index.example.com/x", INDEX, "10.0.0.1"),
        ("https://index.example.com:8443/x", PUBLIC, "10.0.0.1"),
        ("http://index.example.com:3141/x", INDEX, "127.0.0.1"),  # its name leads here
        ("http://index.example.com:3141/x", INDEX, "169.254.169.254"),
        ("http://index.example.com.:3141/x", INDEX, "10.0.0.1"),
        ("http://index.example.com:3141@127.0.0.1/x", INDEX, "127.0.0.1"),
        ("https://files.example.com/x", PUBLIC, "::ffff:127.0.0.1"),
        ("https://2130706433/x", PUBLIC, "127.0.0.1"),
        ("https://0x7f.1/x", PUBLIC, "127.0.0.1"),
        ("https://localhost/x", PUBLIC, "127.0.0.1"),
        ("https://files.example.com/x", "http://127.0.0.1:3141/", "127.0.0.1"),
        ("http://127.0.0.1:3142/x", "http://127.0.0.1:3141/", "127.0.0.1"),
        ("ftp://index.example.com/x", PUBLIC, "1.1.1.1"),
    ],
)
def test_another_host_is_asked_only_if_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, own: str, address: str
) -> None:
    """Nothing is connected to; named, it is. The file for `mirror status` has the line that names it."""
    with pytest.raises(HostRefusedError) as refused:
        asked(monkeypatch, tmp_path, url, own, address)
    assert "example" not in str(refused.value)
    assert address not in str(refused.value)
    (line,) = (tmp_path / "refused").read_text().splitlines()
    hosts = json.loads(json.loads(line)["hosts"])
    assert hosts == [allowed_hosts.origin(httpx.URL(url))]
    if httpx.URL(url).scheme != "ftp":
        assert asked(monkeypatch, tmp_path, url, own, address, named=tuple(hosts)) == [address]


def test_of_several_addresses_only_public_ones_are_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name is looked up once: a second look might find another one (DNS rebinding)."""
    url = "https://files.example.com/x"
    assert asked(monkeypatch, tmp_path, url, PUBLIC, "127.0.0.1", "1.1.1.1", "10.0.0.1", "2606:4700::1") == [
        "1.1.1.1",
        "2606:4700::1",
    ]


def test_a_kept_connection_to_a_named_host_is_not_for_other_requests(tmp_path: Path) -> None:
    """One index may lead there, or is there; a page of another index may name the same host."""
    hosts = AllowedHosts(["https://named.example.com"], tmp_path / "refused")
    transport = UpstreamTransport(hosts, ssl.create_default_context())
    url = httpx.URL("https://10.0.0.1/")
    checks = [hosts.check(url, httpx.URL(own)) for own in ("https://10.0.0.1/simple/", PUBLIC)]
    assert transport._transport(checks[0]) is not transport._transport(checks[1])


@pytest.mark.parametrize(
    "url", ["https://127.1/", "https://[::1]/", "https://a.localhost/", "https://10.0.0.1./"]
)
def test_a_proxy_is_not_asked_for_what_is_plainly_not_public(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    """It looks names up by itself; those that need no look-up are known here."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:8080")
    monkeypatch.setenv("no_proxy", "direct.example.com")
    transport = UpstreamTransport(AllowedHosts((), tmp_path / "refused"), ssl.create_default_context())
    with pytest.raises(HostRefusedError):
        transport.handle_request(httpx.Request("GET", url, extensions={OWN: PUBLIC}))
    assert transport._proxy(httpx.URL(PUBLIC)) == "http://proxy.example.com:8080"
    assert transport._proxy(httpx.URL("https://direct.example.com/")) is None
    assert transport._proxy(httpx.URL("http://index.example.com/")) is None


def test_a_page_that_names_many_hosts_does_not_fill_the_disk(tmp_path: Path) -> None:
    """Each is recorded once, and not without end."""
    hosts = AllowedHosts((), tmp_path / "refused")
    for number in range(2 * allowed_hosts.REPORTED):
        url = httpx.URL(f"http://x{number // 2}.example.com/")
        hosts.refuse(url, httpx.URL(PUBLIC), "it is another host")
        hosts.refuse(httpx.URL(f"http://y{number}.example.com/"), httpx.URL(PUBLIC), "it is another host")
    assert len((tmp_path / "refused").read_text().splitlines()) == allowed_hosts.REPORTED


class _Connection(httpcore.NetworkStream):
    """A connection on which `arrived` can be read; nothing more is there yet."""

    def __init__(self, *arrived: bytes) -> None:
        self._arrived = list(arrived)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._arrived:
            raise httpcore.ReadError(f"no bytes after {timeout} s")
        return self._arrived.pop(0)[:max_bytes]


def test_what_has_arrived_of_a_body_is_read_at_once_and_an_error_after_it_later() -> None:
    """Each way of a record through the HTTP client takes longer than to decrypt it; pages have hundreds."""
    record = bytes(allowed_hosts.RECORD)
    stream = allowed_hosts._Stream(_Connection(record, record, b"end"))
    assert stream.read(65_536, 1) == record + record + b"end"
    assert allowed_hosts._Stream(_Connection(record, record)).read(65_536, 1) == record + record
    with pytest.raises(httpcore.ReadError):
        stream.read(65_536, 1)

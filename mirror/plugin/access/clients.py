"""Name clients by their addresses."""

import functools
import ipaddress
from typing import Any


def is_local(peer: str, here: str) -> bool:
    """Whether `peer` is on this machine, as our nginx is: loopback, or `here`, which it connected to."""
    return peer == here or _parsed(peer).is_loopback


@functools.lru_cache(maxsize=10_000)
def client(address: str) -> str:
    """Name of the client for limits: an IPv4 address, or the /64 that an IPv6 client has for itself."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def of_request(request: Any) -> str:
    """Name of the client that sent a request (connections/channel.py names it)."""
    return request.environ.get("packhorse.client") or str(request.client_addr)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a name, from a web server that is not ours
        return ipaddress.ip_address("0.0.0.0")  # noqa: S104 (a value, not bound)

"""Find out which client a request comes from: its address, or the one that nginx on this machine states."""

import ipaddress
from collections.abc import Mapping


def is_local(peer: str, here: str) -> bool:
    """Whether `peer` is on this machine, as our nginx is: loopback, or `here`, which it connected to."""
    return peer == here or _address(peer).is_loopback


def client(peer: str, here: str, headers: Mapping[str, str]) -> str:
    """Name of the client for limits: an IPv4 address, or the /64 that an IPv6 client has for itself.

    Only nginx on this machine is believed to speak for others (X-Real-IP, set in mirror/front.py).
    """
    stated = headers.get("X_REAL_IP") if is_local(peer, here) else None
    address = _address(stated or peer)
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:  # a name, from a web server that is not ours
        return ipaddress.ip_address("0.0.0.0")  # noqa: S104 (a value, not bound)

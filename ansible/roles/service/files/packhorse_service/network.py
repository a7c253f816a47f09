"""Choose the addresses for a server to listen at: clients reach it, and as few others as possible."""

import ipaddress
import socket
from collections.abc import Iterable


def wanted(addresses: Iterable[str]) -> list[str] | None:
    """The `addresses`, each once; None: all of the host, as one of them is a router's that leads here."""
    found = list(dict.fromkeys(addresses))
    return found if all(map(_is_own, found)) else None


def _is_own(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def network(address: str) -> str:
    """`address` as a network of one address: 10.0.0.5/32."""
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def in_url(address: str) -> str:
    """`address` as URLs have it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address

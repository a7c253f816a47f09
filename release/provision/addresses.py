"""The IP addresses at which hosts see each other: for connections, and for rules that let hosts in."""

import ipaddress
import socket

from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config.release_toml import ReleaseConfig


def of(config: ReleaseConfig, host: str) -> list[str]:
    """The addresses of `host`: those in [addresses], else those that ssh's name for it has here.

    IPv4 comes first, in one order every time. Raises PackhorseError where no other host could use any.
    """
    return list(config.addresses.get(host) or _resolved(host))


def _resolved(host: str) -> list[str]:
    name = ssh.hostname(host)
    hint = f'Write where the other hosts find it into release.toml, below [addresses]: "{host}" = "10.0.0.5"'
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # UnicodeError: a label of DNS that is empty or too long
        raise PackhorseError(f"{host}: this machine finds no address of {name}.", hint) from None
    usable = [address for text in found if _is_usable(address := ipaddress.ip_address(text))]
    if not usable:
        raise PackhorseError(
            f"{host}: ssh reaches it at {', '.join(sorted(found))}, where no other host does.", hint
        )
    return [str(address) for address in sorted(usable, key=lambda each: (each.version, int(each)))]


def _is_usable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)

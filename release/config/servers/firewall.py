"""Settings of [firewall]: what the hosts of release.toml let in besides what Packhorse itself needs."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from packhorse import settings
from packhorse.settings import matching
from release.config.value_types import AppName, HostName


def _network(text: str) -> str:
    if "%" not in text:
        try:
            network = ipaddress.ip_network(text)
            return str(network.network_address if network.num_addresses == 1 else network)
        except ValueError as error:
            if "host bits" in str(error):
                whole = ipaddress.ip_network(text, strict=False)
                raise ValueError(f'"{text}" has bits of a host: write "{whole}"') from None
    raise ValueError(f'"{text}" is neither an address nor a network, such as "203.0.113.7" or "10.0.0.0/8"')


def _port(value: object) -> object:
    text = str(value) if type(value) is int or isinstance(value, str) else ""
    found = re.fullmatch(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", text, re.ASCII)
    if not found or not int(found[1]) <= int(found[2] or found[1]) <= 65535:
        raise ValueError(f'{value!r} is neither a port such as 9100 nor a range such as "60000-61000"')
    return text


Network = Annotated[str, AfterValidator(_network)]
Port = Annotated[str, BeforeValidator(_port)]


class Allow(settings.Settings):
    """One more `port` (or "FIRST-LAST") that is open to the networks `sources` (the key is `from`).

    Without networks it is open to everybody; without `hosts` and `targets` on all hosts. `why` stands in the
    table of `release firewall`.
    """

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: list[Network] = Field(default=[], alias="from")
    hosts: list[HostName] = Field(default=[])
    targets: list[AppName] = Field(default=[])
    why: Annotated[
        str, matching(r"[A-Za-z0-9 _.,:/()-]+", 'a reason of letters, digits and "_.,:/()-"', 100)
    ] = "declared"


class Firewall(settings.Settings):
    """The firewall of all hosts of release.toml but those of `skip`.

    ssh is open to the networks of `ssh_from` (none: to everybody), HTTP where it is served, services to the
    hosts that use them, and what is in `allow`. New rules are taken back unless a new connection confirms
    them within `confirm_within` seconds.
    """

    ssh_from: list[Network] = Field(default=[])
    allow: list[Allow] = Field(default=[])
    skip: list[HostName] = Field(default=[])
    confirm_within: Annotated[int, Field(ge=5, le=600)] = 60

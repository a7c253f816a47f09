"""Facts that programs here and programs on hosts write down each for themselves, compared."""

import re
import runpy
from pathlib import Path
from typing import Any

import pydantic
import pytest
from packhorse_service import redis, state
from packhorse_service.errors import ServiceError

from release.config.servers import monitoring, services
from release.config.servers.firewall import Allow
from release.host.system import monitoring as measured
from release.provision import firewall

ROLES = Path(__file__).parents[3] / "ansible/roles"
CHECKED = runpy.run_path(str(ROLES / "firewall/files/packhorse_firewall.py"))["checked"]


def test_what_measures_has_the_same_ports_everywhere() -> None:
    """Here they are opened, on the host looked at by doctor, and kept from others by nftables."""
    rules = (ROLES / "monitoring/files/monitoring.nft").read_text()
    found = [{int(port) for port in ports.split(",")} for ports in re.findall(r"dport \{ (.*?) \}", rules)]
    assert found == [set(monitoring.PORTS.values())] * 3
    role = (ROLES / "monitoring/vars/main.yml").read_text()
    units = dict(re.findall(r"'([\w-]+)': '([\w-]+)'", role))
    assert {units[kind]: port for kind, port in monitoring.PORTS.items()} == measured.PORTS


def test_the_firewall_opens_what_instances_of_redis_take() -> None:
    """Another one would listen where nobody comes in."""
    assert firewall.SERVICE_PORTS["redis"] == f"{redis.FIRST_PORT}-{redis.LAST_PORT - 1}"


def test_databases_have_one_kind_and_one_longest_name() -> None:
    """What is allowed here must not fail there, in the middle of provisioning."""
    assert set(state.KINDS) == set(firewall.SERVICE_PORTS)
    assert set(state.KINDS) == set(services.Service.model_json_schema()["properties"]["kind"]["enum"])
    assert state.LONGEST_NAME == services.LONGEST_NAME
    longest = services.database("a" * 20, "b" * 20, "c" * 18)
    assert state.check_name(longest) == longest
    with pytest.raises(ServiceError):
        state.check_name(f"{longest}c")


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"port": port}
            for port in ("1", "80", "65535", "0", "65536", "080", "60000-61000", "5-5", "90-80", "5-", "-5")
        ),
        *({"port": port} for port in ("1-65536", "80\n", " 80", "\u0668\u0660", "80 accept", "", "http")),
        *({"protocol": protocol} for protocol in ("tcp", "udp", "icmp", "TCP", "")),
        *(
            {"why": why}
            for why in ("HTTP of a-b_c (1), x/y: z.", "a" * 100, "a" * 101, "", 'a"', "a\nb", "a\n")
        ),
        *({"why": why} for why in ("\u00e9", "a;b", "{a}")),
        *(
            {"from": [network]}
            for network in ("10.0.0.7", "10.0.0.0/8", "10.0.0.1/8", "fd00::/8", "fe80::1%e")
        ),
    ],
)
def test_a_rule_of_the_firewall_is_taken_on_both_sides_or_on_neither(change: dict[str, Any]) -> None:
    """What one of them takes and the other refuses stops provisioning, or gets past the first look."""
    rule = {"port": "80", "protocol": "tcp", "from": [], "why": "HTTP", **change}
    try:
        Allow.model_validate(rule)
    except pydantic.ValidationError:
        with pytest.raises(ValueError, match=r"."):
            CHECKED({"ssh_from": [], "allow": [rule]})
    else:
        CHECKED({"ssh_from": [], "allow": [rule]})

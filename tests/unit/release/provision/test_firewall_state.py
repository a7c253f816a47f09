"""The promises of release.provision.firewall_state."""

import json
import sys
from typing import Any

import pytest

from release.agents import ssh
from release.provision import firewall_state
from release.provision.firewall_state import FirewallStatus, HostFirewall, Project

HTTP = {"protocol": "tcp", "port": "80", "from": ["10.0.0.0/8"], "why": "HTTP of shop"}
SHOP = {"ssh_from": [], "allow": [HTTP]}
ANSWER: dict[str, Any] = {
    "loaded": True,
    "on_trial": False,
    "ssh_ports": [22],
    "ssh_from": ["192.0.2.0/24"],
    "projects": {"shop": SHOP},
    "others": [],
}
NONE = {"loaded": False, "projects": {}}


def state(wanted: dict[str, Any] | None, **changes: object) -> HostFirewall:
    answer = FirewallStatus.model_validate({**ANSWER, **changes})
    return HostFirewall("web1", "shop", Project.model_validate(wanted) if wanted else None, answer)


def test_every_open_port_has_its_reason() -> None:
    """ssh belongs to no project alone."""
    rules = [(name, rule.port, rule.sources, rule.why) for name, rule in state(SHOP).rules()]
    assert rules == [
        ("", "22", ["192.0.2.0/24"], "ssh"),
        ("shop", "80", ["10.0.0.0/8"], "HTTP of shop"),
    ]


@pytest.mark.parametrize(
    ("wanted", "changes", "said"),
    [
        (SHOP, {}, []),
        (SHOP, {"on_trial": True}, ["other rules are on trial"]),
        (SHOP, {"others": ["inet filter"]}, ["the table inet filter refuses, too"]),
        (SHOP, {"projects": {"blog": SHOP}}, ["release.toml says something else: release provision web"]),
        (None, {}, ["release.toml says something else"]),
        (None, NONE, ["Packhorse has no firewall here"]),
        (SHOP, {"loaded": False}, ["Packhorse has no firewall here", "release.toml says something else"]),
    ],
)
def test_what_is_not_as_it_should_be_is_said(
    wanted: dict[str, Any] | None, changes: dict[str, object], said: list[str]
) -> None:
    """Somebody has flushed all tables, say."""
    notes = list(state(wanted, **changes).notes("web"))
    assert len(notes) == len(said)
    assert all(text in note for text, note in zip(said, notes, strict=True))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('{}')", "something else than packhorse-firewall answers there"),
        ("print('[' * 100000)", "something else than packhorse-firewall answers there"),
        (
            f"print({json.dumps({**ANSWER, 'loaded': 1} | {'x': 1})!r})",
            "something else than packhorse-firewall",
        ),
        ("print('x' * 3000000)", "its firewall cannot be read"),
        ("raise SystemExit('sudo: a password is required')", "(status 1): sudo: a password is required"),
        (
            "print('ssh: connect to host web1 port 22: refused'); raise SystemExit(255)",
            "it cannot be reached",
        ),
    ],
)
def test_a_host_that_answers_something_else_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    """It may be compromised, or without sudo."""
    monkeypatch.setattr(ssh, "as_root", lambda *_: [sys.executable, "-c", program])
    found = firewall_state._of_host("shop", "web1", {"packhorse_firewall": SHOP})
    assert found.answer is None
    assert said in (found.error or "")


def test_a_host_without_the_program_has_no_firewall_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was provisioned by an earlier version, or release.toml asks for none."""
    program = "raise SystemExit('sh: 1: exec: /usr/local/sbin/packhorse-firewall: not found')"
    monkeypatch.setattr(ssh, "as_root", lambda *_: [sys.executable, "-c", program])
    found = firewall_state._of_host("shop", "web1", {"packhorse_firewall": None})
    assert (found.error, found.is_current) == (None, True)
    assert list(found.notes("production")) == [
        "Packhorse has no firewall here: every port is open, unless something else closes it."
    ]

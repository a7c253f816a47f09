"""The promises of release.deploy.balancers."""

import json
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.deploy import balancers, outcome

ROW = {"out": False, "held": False, "failure": ""}


def said(**hosts: Any) -> bytes:  # noqa: ANN401  # anything that a balancer may say
    return json.dumps({"hosts": hosts}).encode()


def test_an_answer_says_how_each_host_is() -> None:
    """In the order of release.toml, and no more than was asked for."""
    failing = {"out": True, "held": False, "failure": "no answer within 3 s", "more": 1}
    found = balancers.parse(said(web2=failing, web1=ROW), ["web1", "web2"])
    assert list(found) == ["web1", "web2"]
    assert found["web2"] == {"out": True, "held": False, "failure": "no answer within 3 s"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"welcome to lb1\n", "it answers b'welcome to lb1"),
        (b"[" * 100_000, "it answers b'[["),
        (b"[1]", "other hosts"),
        (b'{"error": "it does not lead there"}', "it does not lead there."),
        (said(web1=ROW), "other hosts"),
        (said(web1=ROW, web2=ROW, web3=ROW), "other hosts"),
        (said(web1=ROW, web2={**ROW, "out": 1}), "it answers"),
        (said(web1=ROW, web2={**ROW, "failure": None}), "it answers"),
        (said(web1=ROW, web2=[]), "it answers"),
    ],
)
def test_what_a_balancer_says_is_not_trusted(line: bytes, reason: str) -> None:
    """It may be compromised, or prepared for other hosts."""
    with pytest.raises(PackhorseError) as caught:
        balancers.parse(line, ["web1", "web2"])
    assert reason in caught.value.message


def test_status_says_what_each_balancer_thinks() -> None:
    """And why it is not known."""
    answer: balancers.Answer = {
        "web1": ROW,
        "web2": {"out": True, "held": False, "failure": "answers 502"},
        "web3": {"out": True, "held": True, "failure": ""},
        "web4": {"out": False, "held": True, "failure": ""},
    }
    thoughts: dict[str, balancers.Answer | PackhorseError] = {
        "lb1": answer,
        "lb2": PackhorseError("no answer within 12 s.", "Try: ssh lb2 true"),
    }
    first = "balancer lb1: web1 is in, web2 is out: answers 502, web3 is out: it is being switched, "
    assert list(outcome.balancers(thoughts)) == [
        f"{first}web4 is in, as too few others are: it is being switched",
        "balancer lb2: no answer within 12 s. Try: ssh lb2 true",
    ]
    known, unknown = outcome.balancers_as_json(thoughts)
    assert known["hosts"][1] == {"host": "web2", "out": True, "held": False, "failure": "answers 502"}
    assert unknown == {"balancer": "lb2", "error": "no answer within 12 s. Try: ssh lb2 true"}

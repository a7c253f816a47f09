"""The promises of release.deploy.balancers."""

import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.agents import ssh
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
    answer: balancers.HostStates = {
        "web1": ROW,
        "web2": {"out": True, "held": False, "failure": "answers 502"},
        "web3": {"out": True, "held": True, "failure": ""},
        "web4": {"out": False, "held": True, "failure": ""},
    }
    thoughts: dict[str, balancers.HostStates | PackhorseError] = {
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


@dataclass(frozen=True)
class Scripted(ssh.SshDestination):
    """A balancer played by a Python program on this machine."""

    program: str = ""

    def to(self, there: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", self.program, *there]


OBEDIENT = """
import json, sys
for line in filter(str.strip, sys.stdin):
    held = json.loads(line)["hold"]
    rows = {name: {"out": name in held, "held": name in held, "failure": ""} for name in ("web1", "web2")}
    print(json.dumps({"hosts": rows}), flush=True)
"""
UNREACHABLE = (
    "import sys; print('ssh: connect to host lb2: No route to host', file=sys.stderr); sys.exit(255)"
)
UNPREPARED = "import sys; print('bash: packhorse-balancer: not found', file=sys.stderr); sys.exit(127)"
SILENT = "import sys; sys.stdin.read()"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (UNREACHABLE, "it cannot be reached: ssh: connect to host lb2: No route to host"),
        (UNPREPARED, "not found Run: release provision"),
        (SILENT, "no answer within 3 s"),
        ("print('welcome'); input()", "it answers b'welcome"),
    ],
)
def test_one_that_does_not_obey_is_named_once_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    """A deploy needs none of them."""
    monkeypatch.setattr(balancers, "HURRY", 3.0)
    warnings: list[tuple[str, str]] = []
    there = {
        name: Scripted(name, "shop", "shop", program=text)
        for name, text in (("lb1", OBEDIENT), ("lb2", program))
    }
    with balancers.connected(
        there, "shop.production", ["web1", "web2"], lambda name, text: warnings.append((name, text))
    ) as both:
        both.pulse()
        both.hold(["web1"])
        both.hold(["web2"])
        assert list(both.members) == ["lb1"]
        answer = both.ask()["lb1"]
    assert not isinstance(answer, PackhorseError)
    assert [row["out"] for row in answer.values()] == [False, False]
    assert [name for name, _ in warnings] == ["lb2"]
    assert reason in warnings[0][1]


def test_a_balancer_is_told_only_what_is_new() -> None:
    """A deploy without a switch has nothing to say to it."""
    counting = OBEDIENT.replace("held = ", "print(line, end='', file=sys.stderr); held = ")
    there = {"lb1": Scripted("lb1", "shop", "shop", program=counting)}
    with balancers.connected(there, "shop.production", ["web1", "web2"], print) as found:
        for hosts in ([], ["web1"], ["web1"], [], []):
            found.hold(hosts)
        member = found.members["lb1"]
    told = [json.loads(line) for line in member.errors.splitlines()]
    assert told == [{"name": "shop.production", "hold": held} for held in (["web1"], [])]


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_one_that_floods_us_is_ended(where: str) -> None:
    """It would fill the memory of the deployer's machine, or its disk."""
    flood = f"import sys\nwhile True: sys.{where}.write('[]\\n' * 1000)"
    there = {"lb1": Scripted("lb1", "shop", "shop", program=flood)}
    with balancers.connected(there, "shop.production", ["web1", "web2"], print) as found:
        member = found.members["lb1"]
        assert member.process.wait(60) == -signal.SIGKILL
        assert member.lines.qsize() <= balancers.UNREAD + 1
        assert len(member.errors) <= balancers.LONGEST_ERRORS


@pytest.mark.parametrize(
    "program",
    [
        SILENT,
        "import os, sys; os.close(1); sys.stdin.read()",
        OBEDIENT.replace("held = json", "import time; time.sleep(2.8); held = json"),
    ],
)
def test_slow_ones_hold_a_deploy_up_once_and_all_together(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """Each step waits for the balancers: three in a row, each of which is late, would treble that."""
    monkeypatch.setattr(balancers, "HURRY", 2.0)
    warnings: list[str] = []
    there = {name: Scripted(name, "shop", "shop", program=program) for name in ("lb1", "lb2", "lb3")}
    with balancers.connected(
        there, "shop.production", ["web1", "web2"], lambda name, _text: warnings.append(name)
    ) as found:
        began = time.monotonic()
        found.hold(["web1"])
        found.hold(["web2"])
        seconds = time.monotonic() - began
    assert warnings == ["lb1", "lb2", "lb3"]
    assert seconds < 5.6


def test_one_that_reads_nothing_does_not_block_us() -> None:
    """Pulses and orders would fill the pipe to it."""
    there = {"lb1": Scripted("lb1", "shop", "shop", program="import time; time.sleep(60)")}
    with balancers.connected(there, "shop.production", ["web1", "web2"], print) as found:
        for _ in range(100):
            found.members["lb1"].hold(["web1" * 1000])
        assert found.members["lb1"].process.wait(60) == -signal.SIGKILL

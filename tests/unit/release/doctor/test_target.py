"""The promises of release.doctor.target."""

from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.agents.schedule import HostState
from release.doctor import target
from release.doctor.report import Finding
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult

FACTS: dict[str, Any] = {
    "release": 7,
    "version": "1.0",
    "code and configuration": "aa",
    "toolbox": "toolbox-1",
}


def answered(name: str, **facts: Any) -> HostState:  # noqa: ANN401  # JSON
    checks = [{"check": "disk", "state": OK, "text": "much", "advice": ""}]
    return HostState(name, last={"event": "result", "checks": checks, "facts": FACTS | facts, "time": 100.0})


def test_a_host_that_is_not_reached_is_one_failed_check_and_others_go_on() -> None:
    """Why, and what to do, is known by ssh."""
    down = HostState("web1", last={"event": "error", "message": "no route", "hint": "Try: ssh"})
    found = list(target.findings([down, answered("web2")], {"web2": 100.0}, "production"))
    assert found[0] == Finding("web1", CheckResult("reached", FAILED, "no route", "Try: ssh"))
    assert [(one.host, one.check.check, one.check.state) for one in found[1:]] == [
        ("web2", "reached", OK),
        ("web2", "clock", OK),
        ("web2", "disk", OK),
    ]


@pytest.mark.parametrize(("offset", "state"), [(-1.0, OK), (-30.0, WARNING), (3600.0, FAILED)])
def test_a_clock_may_be_off_by_seconds(offset: float, state: str) -> None:
    """The answer takes time, too; with an hour, certificates are not valid yet."""
    assert target.clock(offset).state == state


def test_hosts_that_differ_are_named_with_what_brings_them_together() -> None:
    """One was down, or somebody provisioned one of them only."""
    hosts = [answered("web1"), answered("web2"), answered("web3", release=6, toolbox=None)]
    sync = "release config sync production --from HOST"
    assert list(target.differences(hosts, "production")) == [
        CheckResult("drift", WARNING, "release: 7 on web1, web2; 6 on web3", sync),
        CheckResult(
            "drift", WARNING, "toolbox: toolbox-1 on web1, web2; none on web3", "release provision production"
        ),
    ]


def test_a_digest_is_not_shown() -> None:
    """It says nothing to people, and is made anew each time."""
    hosts = [answered("web1"), answered("web2", **{"code and configuration": "bb"})]
    (found,) = target.differences(hosts, "production")
    assert found.text == "code and configuration: web1 and web2 differ"


def test_one_host_differs_from_nobody() -> None:
    """Nor does a target of two, of which one is down."""
    assert list(target.differences([answered("web1")], "web1")) == []
    (found,) = target.differences([answered("web1"), answered("web2")], "production")
    assert found.state == OK


def test_a_balancer_says_which_hosts_do_not_serve() -> None:
    """Its own view: the way between them may be what is wrong."""
    well, ill = ({"out": bool(why), "held": False, "failure": why} for why in ("", "Connection refused"))
    thoughts: dict[str, dict[str, dict[str, Any]] | PackhorseError] = {
        "lb1": {"web1": well, "web2": ill},
        "lb2": {"web1": well, "web2": well},
        "lb3": PackhorseError("it cannot be reached: no route", "Try: ssh"),
    }
    found = [(one.host, one.check.state, one.check.text) for one in target.of_balancers(thoughts)]
    assert found == [
        ("lb1", FAILED, "web2 does not serve: Connection refused"),
        ("lb2", OK, "all hosts answer it"),
        ("lb3", FAILED, "it cannot be reached: no route"),
    ]

"""The promises of release.deploy.outcome."""

from dataclasses import replace
from typing import Any

import pytest

from release.agents import schedule
from release.agents.controller import Outcome
from release.deploy import outcome


def host(name: str, order: schedule.Event | None = None, **last: Any) -> schedule.HostState:  # noqa: ANN401  # JSON
    told = {
        "event": "result",
        "unchanged": False,
        "project": "tiny",
        "version": "2",
        "release": 7,
        "url": "u",
    }
    return schedule.HostState(name, schedule.Stage.ENDED, order, {**told, **last})


def error(name: str, order: schedule.Event | None = None, exit_code: int = 1) -> schedule.HostState:
    told = {
        "event": "error",
        "message": "it broke",
        "hint": "mend it",
        "detail": "log",
        "exit_code": exit_code,
    }
    return schedule.HostState(name, schedule.Stage.ENDED, order, told)


def of(*hosts: schedule.HostState, stopped: str | None = None) -> Outcome:
    return Outcome(hosts, stopped)


@pytest.mark.parametrize(
    ("ended", "state", "sentence"),
    [
        (host("a"), "done", "runs tiny 2 (release 7)"),
        (host("a", unchanged=True), "unchanged", "ran tiny 2 (release 7) already, with this configuration"),
        (
            host("a", reverted=True, version="1", release=6),
            "reverted",
            "was switched back to tiny 1 (release 6)",
        ),
        (host("a", reverted=True, release=None), "reverted", "was switched back to nothing"),
        (error("a"), "failed", "failed: it broke"),
        (error("a", schedule.CLOSE), "untouched", "was not touched"),
        (error("a", {"revert": "no"}, 130), "untouched", "was not touched"),
        (error("a", {"revert": "no"}), "failed", "failed: it broke"),
    ],
)
def test_the_report_says_of_every_host_what_became_of_it(
    ended: schedule.HostState, state: str, sentence: str
) -> None:
    """Who reads it has to decide what to do about each."""
    assert (outcome.state(ended), outcome.sentence(ended)) == (state, sentence)


def test_the_error_is_that_of_the_host_that_began() -> None:
    """What happened to the others only followed from it."""
    told = outcome.error(
        of(host("a", reverted=True), error("b"), error("c", schedule.CLOSE)), "prod", named=True
    )
    assert told
    assert (told.message, told.hint, told.detail, told.exit_code) == ("b: it broke", "mend it", "log", 1)
    alone = outcome.error(of(error("local")), "prod", named=False)
    assert alone
    assert alone.message == "it broke"


def test_who_stopped_it_is_told_what_became_of_it() -> None:
    """Exit status 130, as for every program that Ctrl-C ends."""
    leaving = error("a", schedule.CLOSE, 130)
    told = outcome.error(of(leaving, stopped="Ctrl-C"), "prod", named=True)
    assert told
    assert (told.message, told.exit_code) == ("Ctrl-C: stopped before the switch.", 130)
    back = outcome.error(of(host("b", reverted=True), leaving, stopped="SIGTERM"), "prod", named=True)
    assert back
    assert back.message == "SIGTERM: switched back."


def test_all_hosts_run_it_or_it_is_an_error() -> None:
    """Exit status 0 promises exactly that; Ctrl-C that came too late changes nothing."""
    assert outcome.error(of(host("a"), host("b", unchanged=True)), "prod", named=True) is None
    assert outcome.error(of(host("a"), stopped="Ctrl-C"), "prod", named=True) is None
    differing = [
        schedule.HostState(n, schedule.Stage.ENDED, schedule.CLOSE, error(n).last, digest=n)
        for n in ("1", "2")
    ]
    told = outcome.error(of(*differing), "prod", named=True)
    assert told
    assert told.message == "1 and 2 would run different code or configuration."
    assert "release rollback prod N, release config sync prod --from HOST" in told.hint


def test_a_hint_of_a_host_is_shown_as_it_is() -> None:
    """Variables and paths may have the word in which somebody else sees a placeholder."""
    hint = "Set it: release config set prod TARGET_URL"
    told = outcome.error(
        of(replace(error("a"), last={**(error("a").last or {}), "hint": hint})), "prod", named=True
    )
    assert told
    assert told.hint == hint


def test_scripts_get_what_the_agents_said() -> None:
    """And one word for what became of each."""
    assert outcome.as_json(error("a")) == {
        "host": "a",
        "outcome": "failed",
        "message": "it broke",
        "hint": "mend it",
        "detail": "log",
        "exit_code": 1,
    }


def test_a_host_that_was_left_out_is_named() -> None:
    """Else they forget it. No deploy brings it up when the others have another configuration now."""
    assert outcome.summary(of(host("a")), "prod", 1, ["b", "c"]) == (
        "tiny 2 runs on 1 of 3 hosts of prod: u  (1.0 s)\n"
        "Left out: b, c. Later: release config sync prod --from a"
    )


def test_a_host_is_behind_when_another_has_a_later_release() -> None:
    """A host without any is, too; one that does not answer is not known to be."""
    last = {"event": "result", "state": "running"}
    hosts = (
        schedule.HostState("a", last={**last, "release": 4}),
        schedule.HostState("b", last={**last, "release": 3}),
        schedule.HostState("c", last={**last, "state": "none"}),
        schedule.HostState("d", last={"event": "error"}),
    )
    assert outcome.behind(Outcome(hosts, None)) == {"b": 4, "c": 4}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([("https://a/", "/s"), ("https://a/", "/s")], "https://a/"),
        ([("http://web1/", "/s"), (None, "/s"), ("http://web3/", "/s")], "http://web1/ http://web3/"),
        ([(None, None)], "it has no web, and answers no requests"),
        (
            [(None, "/run/shop/web.sock")],
            "it serves /run/shop/web.sock, and no vhost of ours leads there",
        ),
    ],
)
def test_people_learn_how_users_reach_it(results: list[tuple[str | None, str | None]], expected: str) -> None:
    """Or why nobody does."""
    made = [{"url": url, "address": address} for url, address in results]
    assert outcome.access(made).startswith(expected)


def test_the_last_line_names_what_runs_where() -> None:
    """With an address where there is one."""
    assert outcome.summary(of(host("local")), "local", 1.23) == "tiny 2 is release 7 on local: u  (1.2 s)"
    again = outcome.summary(of(host("local", unchanged=True)), "local", 1)
    assert again == "tiny 2 runs already, with this configuration, as release 7 on local: u"
    assert (
        outcome.summary(of(host("a"), host("b")), "prod", 1)
        == "tiny 2 runs on all 2 hosts of prod: u  (1.0 s)"
    )


def test_hosts_with_the_same_plan_are_named_together() -> None:
    """Ten times the same text would hide the one that differs."""
    same, other = ["Fetch it", "Start it"], ["Do nothing"]
    ended = of(host("a", plan=same), host("b", plan=other), host("c", plan=same), error("d"))
    assert list(outcome.plans(ended, 2)) == [
        "a, c:",
        "  1. Fetch it",
        "  2. Start it",
        "b:",
        "  1. Do nothing",
        "a is switched first, then 2 at a time; if one fails, all go back.",
    ]

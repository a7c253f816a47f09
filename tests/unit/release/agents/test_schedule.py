"""The promises of release.agents.schedule: who is next, and what is the verdict."""

from dataclasses import replace

import pytest

from packhorse.errors import PackhorseError
from release.agents import schedule
from release.agents.schedule import CLOSE, HostState, Stage
from release.deploy import progress
from release.host.control.agreement import Candidate, Offer, Rank

RESULT = {"event": "result", "unchanged": False, "version": "2"}
OFFER = {"next": 2, "candidate": {"digest": "2"}, "current": None, "running": None}
GOES_BACK = (Stage.STARTING, Stage.SWITCH, Stage.SWITCHING, Stage.VERDICT)
ERROR = {"event": "error", "message": "it broke", "exit_code": 1}


def hosts(*at: Stage) -> list[HostState]:
    """web1, web2, … where they are."""
    return [
        HostState(f"web{number}", where, last=RESULT if where is Stage.ENDED else None)
        for number, where in enumerate(at, 1)
    ]


def go(gate: str, *numbers: int) -> dict[str, schedule.Event]:
    return {f"web{number}": {"go": gate} for number in numbers}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ([Stage.COMING, Stage.LOCK], {}),
        ([Stage.LOCK, Stage.COMING], go("lock", 1)),
        ([Stage.LOCK, Stage.LOCK], go("lock", 1)),
        ([Stage.LOCKING, Stage.LOCK], {}),
        ([Stage.INSTALLING, Stage.LOCK], go("lock", 2)),
        ([Stage.ENDED, Stage.LOCK], go("lock", 2)),
    ],
)
def test_locks_are_taken_one_after_the_other(at: list[Stage], expected: dict[str, schedule.Event]) -> None:
    """Two deployers that take them in different orders would each hold what the other waits for."""
    assert schedule.due_orders(hosts(*at), 1) == expected


def test_locks_are_taken_in_the_order_of_names_not_as_written() -> None:
    """Another release.toml may name the same hosts in another order."""
    assert schedule.due_orders(hosts(Stage.LOCK, Stage.LOCK)[::-1], 1) == go("lock", 1)


@pytest.mark.parametrize(
    ("at", "batch", "expected"),
    [
        ([Stage.START, Stage.INSTALLING, Stage.START], 2, {}),
        ([Stage.START, Stage.START, Stage.START], 2, go("start", 1)),
        ([Stage.STARTING, Stage.START, Stage.START], 2, {}),
        ([Stage.VERDICT, Stage.START, Stage.START], 1, go("start", 2)),
        ([Stage.VERDICT, Stage.START, Stage.START, Stage.START], 2, go("start", 2, 3)),
        ([Stage.VERDICT, Stage.STARTING, Stage.START, Stage.START], 2, go("start", 3)),
        ([Stage.VERDICT, Stage.STARTING, Stage.STARTING, Stage.START], 2, {}),
        ([Stage.ENDED, Stage.START, Stage.START], 2, go("start", 2)),  # the first runs it already
        ([Stage.SWITCH, Stage.START], 1, go("switch", 1)),
        ([Stage.SWITCHING, Stage.START], 1, {}),
        ([Stage.VERDICT, Stage.SWITCH, Stage.START], 2, {**go("switch", 2), **go("start", 3)}),
    ],
)
def test_the_first_goes_first_then_a_batch_at_a_time(
    at: list[Stage], batch: int, expected: dict[str, schedule.Event]
) -> None:
    """Nobody starts before all are installed: what fails until then fails without any effect."""
    assert schedule.due_orders(hosts(*at), batch) == expected


def test_without_a_verdict_the_rest_start_when_the_first_one_has_ended() -> None:
    """As in `release scale`: begun on all hosts or on none, and not one after the other to the end."""
    assert schedule.due_orders(hosts(Stage.START, Stage.LOCK), 3) == go("lock", 2)
    waiting = hosts(Stage.START, Stage.START, Stage.START)
    assert schedule.due_orders(waiting, 3) == go("start", 1)
    done = replace(waiting[0], stage=Stage.ENDED, order={"go": "start"}, last=RESULT)
    assert schedule.due_orders([done, *waiting[1:]], 3) == go("start", 2, 3)
    busy = replace(waiting[2], stage=Stage.ENDED, order={"go": "lock"}, last=ERROR)
    assert schedule.due_orders([*waiting[:2], busy], 3) == {"web1": CLOSE, "web2": CLOSE}
    down = replace(busy, order=None)
    assert schedule.due_orders([*waiting[:2], down], 3, needs_all=False) == go("start", 1)


def test_all_commit_when_all_are_healthy() -> None:
    """And not one before: it could not go back any more."""
    assert schedule.due_orders(hosts(Stage.VERDICT, Stage.STARTING), 2) == {}
    assert schedule.due_orders(hosts(Stage.VERDICT, Stage.INSTALLING), 2) == {}  # before the first deploy
    assert schedule.due_orders(hosts(Stage.VERDICT, Stage.VERDICT, Stage.ENDED), 2) == go("verdict", 1, 2)


@pytest.mark.parametrize("stopped", [None, "Ctrl-C"])
def test_one_that_fails_takes_all_back(stopped: str | None) -> None:
    """Those who have not started leave, those who have go back, those who were told already stay alone."""
    every = hosts(*Stage)
    if not stopped:
        every.append(HostState("web99", Stage.ENDED, last=ERROR))
    reason = stopped or "web99: it broke"
    told = schedule.due_orders(every, 2, stopped)
    assert {host.stage: told[host.name] for host in every if host.name in told} == {
        **dict.fromkeys([Stage.COMING, Stage.LOCK, Stage.LOCKING, Stage.AGREEMENT], CLOSE),
        **dict.fromkeys([Stage.INSTALLING, Stage.START], CLOSE),
        **{at: {"revert": reason} for at in GOES_BACK},
    }


def test_hosts_that_would_run_different_releases_start_none() -> None:
    """Whatever went wrong on the way: nothing starts unless it is the same on all hosts."""
    ready = [replace(host, digest=host.name) for host in hosts(Stage.START, Stage.START)]
    assert schedule.due_orders(ready, 1) == {"web1": CLOSE, "web2": CLOSE}
    assert schedule.conflict(ready) == "web1 and web2 would run different code or configuration."


def agreeing(*offers: Offer, at: Stage = Stage.AGREEMENT) -> list[HostState]:
    return [
        replace(host, offer=offer) for host, offer in zip(hosts(*[at] * len(offers)), offers, strict=True)
    ]


def test_all_agree_on_one_number_when_all_have_their_locks() -> None:
    """A host whose number is behind takes that of the others."""
    both = agreeing(Offer(9, Candidate("same")), Offer(8, Candidate("same")))
    told = schedule.due_orders(both, 1)
    assert {name: order["assignment"]["number"] for name, order in told.items()} == {"web1": 9, "web2": 9}
    assert not any(order["assignment"]["send"] for order in told.values())
    assert schedule.due_orders([both[0], replace(both[1], stage=Stage.LOCKING, offer=None)], 1) == {}


def test_a_host_without_the_content_waits_until_another_has_sent_it() -> None:
    """It was down, or installed anew."""
    has, lacks = agreeing(Offer(9, Candidate("seven", 7, 7)), Offer(3, None))
    told = schedule.due_orders([has, lacks], 1)
    assert list(told) == ["web1"]
    assert told["web1"]["assignment"]["send"]
    has = schedule.after_order(has, told["web1"])
    assert (has.stage, schedule.due_orders([has, lacks], 1)) == (Stage.INSTALLING, {})
    has = schedule.after_event(has, {"event": "content", "content": {"version": "1.0"}})
    (order,) = schedule.due_orders([has, lacks], 1).values()
    assert (order["assignment"]["number"], order["assignment"]["content"]) == (9, {"version": "1.0"})
    assert "1.0" not in repr(has)


def test_when_there_is_nothing_to_go_back_to_the_first_host_says_so() -> None:
    """With the releases that it has; the others follow as after any failure."""
    first, second = agreeing(Offer(2, None), Offer(1, None))
    told = schedule.due_orders([first, second], 1)
    assert told == {"web1": {"go": "agreement"}}
    assert schedule.due_orders([schedule.after_order(first, told["web1"]), second], 1) == {}


def test_what_a_host_says_moves_it() -> None:
    """The whole way of a host, as the agent tells it."""
    host = HostState("web1")
    way = []
    for event in (
        {"event": "gate", "name": "lock"},
        {"go": "lock"},
        {"event": "step", "name": "lock"},
        {"event": "gate", "name": "agreement", "offer": OFFER},
        {"go": "agreement"},
        {"event": "step", "name": "preflight"},
        {"event": "gate", "name": "start", "digest": "2"},
        {"go": "start"},
        {"event": "step", "name": "probe"},
        {"event": "gate", "name": "verdict"},
        {"go": "verdict"},
        {"event": "step", "name": "commit"},
        RESULT,
    ):
        host = schedule.after_order(host, event) if "go" in event else schedule.after_event(host, event)
        way.append(host.stage)
    locking = [Stage.LOCK, Stage.LOCKING, Stage.LOCKING, Stage.AGREEMENT]
    installing = [Stage.INSTALLING, Stage.INSTALLING, Stage.START]
    starting, end = (
        [Stage.STARTING, Stage.STARTING, Stage.VERDICT],
        [Stage.COMMITTING, Stage.COMMITTING, Stage.ENDED],
    )
    assert way == [*locking, *installing, *starting, *end]
    assert (host.digest, host.failed) == ("2", False)


def test_one_that_was_told_to_leave_waits_for_nothing_more() -> None:
    """A gate that it comes to on the way is answered already."""
    leaving = schedule.after_order(HostState("web1", Stage.STARTING), {"revert": "no"})
    assert schedule.after_event(leaving, {"event": "gate", "name": "verdict"}) == leaving


@pytest.mark.parametrize(
    ("order", "exit_code", "failed"),
    [
        (None, 1, True),
        ({"go": "start"}, 130, True),
        (CLOSE, 1, False),
        (CLOSE, 130, False),
        ({"revert": "no"}, 130, False),
        ({"revert": "no"}, 1, True),
    ],
)
def test_an_error_after_an_order_to_leave_is_no_failure_of_the_host(
    order: schedule.Event | None, exit_code: int, *, failed: bool
) -> None:
    """Only who could not go back as told has failed; the report names the one who began."""
    host = HostState("web1", Stage.ENDED, order=order, last={**ERROR, "exit_code": exit_code})
    assert host.failed is failed


def test_without_gates_every_host_is_on_its_own() -> None:
    """`release status`: Ctrl-C closes, a failure elsewhere does not."""
    assert schedule.due_orders(hosts(Stage.COMING, Stage.ENDED), None, "Ctrl-C") == {"web1": CLOSE}
    failed = HostState("web2", Stage.ENDED, last=ERROR)
    assert schedule.due_orders([*hosts(Stage.COMING), failed], None) == {}


@pytest.mark.parametrize("lie", [Candidate("old", 99, 98), Candidate("old"), Candidate("new", 99)])
def test_a_host_that_would_deploy_something_else_stops_the_deploy(lie: Candidate) -> None:
    """One that is broken into could give the others its content, or make them believe that they run it."""
    honest = Offer(3, Candidate("new"), 2, "old")
    all_hosts = agreeing(honest, Offer(3, lie, 2, "old"), honest)
    assert schedule.due_orders(all_hosts, 1) == dict.fromkeys(["web1", "web2", "web3"], CLOSE)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (
            Candidate("evil", 999_999, 1),
            "Hosts disagree on what to go back to: web1 to release 7, web2 to release 999999.",
        ),
        (Candidate("evil", 7, 7), "web1 and web2 would run different code or configuration."),
        (Candidate("seven", 7, 6), "web1 and web2 would run different code or configuration."),
    ],
)
def test_a_host_that_would_go_back_to_something_else_stops_the_rollback(
    other: Candidate, reason: str
) -> None:
    """One that is compromised claims the newest release, and gives the others its configuration."""
    pair = agreeing(Offer(9, Candidate("seven", 7, 7)), Offer(9, other), Offer(1, None))
    assert schedule.conflict(pair) == reason
    assert schedule.due_orders(pair, 1) == dict.fromkeys(["web1", "web2", "web3"], CLOSE)


def test_an_offer_that_is_none_is_an_error_with_the_name_of_the_host() -> None:
    """Not a traceback."""
    for offer in ({}, {**OFFER, "next": "2"}, {**OFFER, "candidate": {"what": 1}}, None):
        with pytest.raises(PackhorseError, match="web1: its agent offers"):
            schedule.after_event(HostState("web1"), {"event": "gate", "name": "agreement", "offer": offer})


def test_the_state_of_a_host_can_be_shown_without_its_secrets() -> None:
    """It stands in tracebacks of tests, and in what a debugger shows."""
    host = HostState("web1", content={"env": {"TOKEN": "hunter2"}})
    order = {"go": "agreement", "assignment": {"content": host.content}}
    assert "hunter2" not in repr(schedule.after_order(host, order))


def test_hosts_with_another_configuration_each_are_named_with_the_variables() -> None:
    """Nobody knows which is right: the user says so."""
    offers = [Offer(2, Candidate(str(n)), config={"A": str(n), "B": "1"}, rank=Rank.CODE) for n in range(2)]
    pair = [
        replace(host, offer=offer)
        for host, offer in zip(hosts(Stage.AGREEMENT, Stage.AGREEMENT), offers, strict=True)
    ]
    reason = "web1 and web2 have another configuration each: A."
    assert schedule.drift(pair) == schedule.conflict(pair) == reason
    assert schedule.due_orders(pair, 1) == {"web1": CLOSE, "web2": CLOSE}
    same = [replace(host, offer=replace(host.offer, candidate=Candidate("0"))) for host in pair if host.offer]
    assert schedule.conflict(same) is None  # both will have the same
    new = replace(pair[1], offer=Offer(1, Candidate("2")))
    assert schedule.conflict([pair[0], new]) is None
    back = [
        replace(host, offer=replace(offers[0], candidate=Candidate("0", 1, 1), config=offer.config))
        for host, offer in zip(pair, offers, strict=True)
    ]
    assert schedule.drift(back) is None  # a rollback is a way out


@pytest.mark.parametrize(
    ("code", "early", "expected"),
    [
        ({"A": "1"}, {"A": "2"}, "web1 and web2 have another configuration each: A."),
        ({}, {"A": "2"}, "web1 and web2 have another configuration each: A."),
        ({"A": "1"}, {"A": "1"}, None),
    ],
)
def test_what_is_set_on_a_host_before_its_first_deploy_is_not_lost_in_silence(
    code: dict[str, str], early: dict[str, str], expected: str | None
) -> None:
    """A change would give it what the others have, and the file with its own would go."""
    with_code = Offer(5, Candidate("code"), config=code, rank=Rank.CODE)
    pair = agreeing(with_code, Offer(1, Candidate("none"), config=early, rank=Rank.CONFIG_ONLY))
    assert schedule.conflict(pair) == expected


def test_a_gate_that_no_agent_of_ours_has_is_an_error_of_that_host() -> None:
    """A host that lies."""
    event = {"event": "gate", "name": "nowhere"}
    assert progress.words(event) == ("wait", "nowhere")
    with pytest.raises(PackhorseError, match="web1: its agent offers what no agent of ours does"):
        schedule.after_event(HostState("web1"), event)


def test_balancers_have_out_who_switches() -> None:
    """Not who starts, which may take minutes, and not who waits for the others."""
    at = (Stage.VERDICT, Stage.SWITCH, Stage.SWITCHING, Stage.STARTING, Stage.ENDED, Stage.LEAVING)
    assert schedule.switching(hosts(*at)) == ["web3"]

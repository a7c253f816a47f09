"""The promises of release.deploy.schedule: who is next, and what is the verdict."""

from dataclasses import replace

import pytest

from release.deploy import schedule
from release.deploy.schedule import CLOSE, At, Host

RESULT = {"event": "result", "unchanged": False, "version": "2"}
ERROR = {"event": "error", "message": "it broke", "exit_code": 1}


def hosts(*at: At) -> list[Host]:
    """web1, web2, … where they are."""
    return [
        Host(f"web{number}", where, last=RESULT if where is At.ENDED else None)
        for number, where in enumerate(at, 1)
    ]


def go(gate: str, *numbers: int) -> dict[str, schedule.Event]:
    return {f"web{number}": {"go": gate} for number in numbers}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ([At.COMING, At.LOCK], {}),
        ([At.LOCK, At.COMING], go("lock", 1)),
        ([At.LOCK, At.LOCK], go("lock", 1)),
        ([At.LOCKING, At.LOCK], {}),
        ([At.INSTALLING, At.LOCK], go("lock", 2)),
        ([At.ENDED, At.LOCK], go("lock", 2)),
    ],
)
def test_locks_are_taken_one_after_the_other(at: list[At], expected: dict[str, schedule.Event]) -> None:
    """Two deployers that take them in different orders would each hold what the other waits for."""
    assert schedule.due(hosts(*at), 1) == expected


def test_locks_are_taken_in_the_order_of_names_not_as_written() -> None:
    """Another release.toml may name the same hosts in another order."""
    assert schedule.due(hosts(At.LOCK, At.LOCK)[::-1], 1) == go("lock", 1)


@pytest.mark.parametrize(
    ("at", "batch", "expected"),
    [
        ([At.START, At.INSTALLING, At.START], 2, {}),
        ([At.START, At.START, At.START], 2, go("start", 1)),
        ([At.STARTING, At.START, At.START], 2, {}),
        ([At.VERDICT, At.START, At.START], 1, go("start", 2)),
        ([At.VERDICT, At.START, At.START, At.START], 2, go("start", 2, 3)),
        ([At.VERDICT, At.STARTING, At.START, At.START], 2, go("start", 3)),
        ([At.VERDICT, At.STARTING, At.STARTING, At.START], 2, {}),
        ([At.ENDED, At.START, At.START], 2, go("start", 2)),  # the first runs it already
    ],
)
def test_the_first_goes_first_then_a_batch_at_a_time(
    at: list[At], batch: int, expected: dict[str, schedule.Event]
) -> None:
    """Nobody starts before all are installed: what fails until then fails without any effect."""
    assert schedule.due(hosts(*at), batch) == expected


def test_all_commit_when_all_are_healthy() -> None:
    """And not one before: it could not go back any more."""
    assert schedule.due(hosts(At.VERDICT, At.STARTING), 2) == {}
    assert schedule.due(hosts(At.VERDICT, At.VERDICT, At.ENDED), 2) == go("verdict", 1, 2)


@pytest.mark.parametrize("stopped", [None, "Ctrl-C"])
def test_one_that_fails_takes_all_back(stopped: str | None) -> None:
    """Those who have not started leave, those who have go back, those who were told already stay alone."""
    every = hosts(*At)
    if not stopped:
        every.append(Host("web99", At.ENDED, last=ERROR))
    reason = stopped or "web99: it broke"
    told = schedule.due(every, 2, stopped)
    assert {host.at: told[host.name] for host in every if host.name in told} == {
        **dict.fromkeys([At.COMING, At.LOCK, At.LOCKING, At.INSTALLING, At.START], CLOSE),
        **{at: {"revert": reason} for at in (At.STARTING, At.VERDICT)},
    }


def test_hosts_that_would_run_different_versions_start_none() -> None:
    """`release rollback production 7`: the release 7 of a host that came later is something else."""
    ready = [replace(host, version=host.name[3:]) for host in hosts(At.START, At.START)]
    assert schedule.due(ready, 1) == {"web1": CLOSE, "web2": CLOSE}
    assert schedule.trouble(ready) == "The hosts would run 1 (web1), 2 (web2)."


def test_what_a_host_says_moves_it() -> None:
    """The whole way of a host, as the agent tells it."""
    host = Host("web1")
    way = []
    for event in (
        {"event": "gate", "name": "lock"},
        {"go": "lock"},
        {"event": "step", "name": "lock"},
        {"event": "step", "name": "preflight"},
        {"event": "gate", "name": "start", "version": "2"},
        {"go": "start"},
        {"event": "step", "name": "probe"},
        {"event": "gate", "name": "verdict"},
        {"go": "verdict"},
        {"event": "step", "name": "commit"},
        RESULT,
    ):
        host = schedule.told(host, event) if "go" in event else schedule.heard(host, event)
        way.append(host.at)
    locking, installing = [At.LOCK, At.LOCKING, At.LOCKING], [At.INSTALLING, At.START]
    starting, end = [At.STARTING, At.STARTING, At.VERDICT], [At.COMMITTING, At.COMMITTING, At.ENDED]
    assert way == [*locking, *installing, *starting, *end]
    assert (host.version, host.failed) == ("2", False)


def test_one_that_was_told_to_leave_waits_for_nothing_more() -> None:
    """A gate that it comes to on the way is answered already."""
    leaving = schedule.told(Host("web1", At.STARTING), {"revert": "no"})
    assert schedule.heard(leaving, {"event": "gate", "name": "verdict"}) == leaving


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
    host = Host("web1", At.ENDED, order=order, last={**ERROR, "exit_code": exit_code})
    assert host.failed is failed


def test_without_gates_every_host_is_on_its_own() -> None:
    """`release status`: Ctrl-C closes, a failure elsewhere does not."""
    assert schedule.stops(hosts(At.COMING, At.ENDED)) == {"web1": CLOSE}

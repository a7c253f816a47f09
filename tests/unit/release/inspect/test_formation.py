"""The promises of release.inspect.formation."""

from typing import Any

import pytest

from release.agents import schedule
from release.agents.controller import Outcome
from release.inspect import formation


def host(name: str, **last: Any) -> schedule.HostState:  # noqa: ANN401  # JSON
    return schedule.HostState(name, schedule.Stage.ENDED, last={"event": "result", **last})


def test_hosts_that_differ_are_named_with_the_remedy() -> None:
    """One was down when somebody scaled."""
    down = schedule.HostState("c", schedule.Stage.ENDED, last={"event": "error", "message": "it is down"})
    outcome = Outcome(
        (host("a", scale={"web": 3, "worker": 1}), host("b", scale={"web": 1, "worker": 1, "beat": 0}), down),
        None,
    )
    assert formation.differing(outcome) == {"web": {"a": 3, "b": 1}}
    assert formation.remedy(outcome, "production") == (
        "Hosts have different numbers of processes: web 3 on a, 1 on b. "
        "Make them equal: release scale production web=3"
    )


def test_hosts_that_agree_need_no_word() -> None:
    """One that was never deployed to has nothing to compare."""
    outcome = Outcome((host("a", scale={"web": 3}), host("b", scale={"web": 3}), host("c", scale={})), None)
    assert formation.remedy(outcome, "production") == ""


def row(**more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    one = {"pid": 7, "since": "2026-11-26T12:00:00+00:00", "cpu": 3.4, "memory": 50 * 2**20}
    plain = {"process": "worker", "release": 3, "count": 2, "wanted": 2, "restarts": 0, "state": "running"}
    return {**plain, "status": None, "lines": [], "each": [one, {**one, "pid": 8}], **more}


@pytest.mark.parametrize(
    ("more", "cells"),
    [
        ({}, [["1/2", "7", "running", "0"], ["2/2", "8", "running", "0"]]),
        (
            {"each": row()["each"][:1], "state": "not running"},
            [["1/2", "7", "not running", "0"], ["-", "-", "not running", "0"]],
        ),
        ({"each": [], "state": "crash loop", "restarts": 9}, [["0/2", "-", "crash loop", "9"]]),
        ({"each": [], "wanted": 0, "state": "stopped"}, [["0/0", "-", "stopped", "-"]]),
        (
            {"wanted": 0, "state": "draining", "restarts": None},
            [["1/2", "7", "draining", "?"], ["2/2", "8", "draining", "?"]],
        ),
    ],
)
def test_each_process_has_a_row_and_what_is_missing_one_more(
    more: dict[str, Any], cells: list[list[str]]
) -> None:
    """Nobody counts lines to see that one of three is not there."""
    table = formation.rows({"processes": [row(**more)]})
    assert [[line[1], line[2], line[4], line[6]] for line in table] == cells
    assert all(len(line) == len(formation.HEAD) for line in table)


def test_a_crash_loop_shows_its_last_words() -> None:
    """The cause, without another command."""
    loop = row(state="crash loop", restarts=9, status=1, lines=["no queue"])
    assert list(formation.loops({"processes": [row(), loop]})) == [
        "worker keeps ending, the last time with status 1: 9 restarts in the last hour. It wrote:",
        "  no queue",
    ]
    killed = row(state="crash loop", restarts=1, status=-9)
    assert "by signal 9: 1 restart in" in next(formation.loops({"processes": [killed]}))

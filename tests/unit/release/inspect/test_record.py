"""The promises of release.inspect.record."""

from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.agents import schedule
from release.agents.controller import Outcome
from release.inspect import record


def entry(at: str, state: str = "good", **more: str) -> dict[str, Any]:
    plain = {"release": 3, "version": "1.0", "by": "ann@example", "reason": "", "changed": ""}
    return {**plain, "at": at, "state": state, **more}


def host(name: str, *entries: dict[str, Any]) -> schedule.HostState:
    answer = {"event": "result", "app": "shop", "entries": list(entries)}
    return schedule.HostState(name, schedule.Stage.ENDED, last=answer)


def test_hosts_are_merged_in_order_of_time() -> None:
    """What happened on which host first is what somebody wants to know."""
    down = schedule.HostState("c", schedule.Stage.ENDED, last={"event": "error", "message": "it is down"})
    one = host("web1", entry("2026-01-01"), entry("2026-01-03", "command", reason="scale web=3"))
    merged = record.lines(
        Outcome((one, host("b", entry("2026-01-02", "failed", reason="it broke")), down), None)
    )
    assert list(merged) == [
        "2026-01-01  web1  ann@example  release 3 (1.0): deployed",
        "2026-01-02  b     ann@example  release 3 (1.0): failed; it broke",
        "2026-01-03  web1  ann@example  scale web=3",
    ]


@pytest.mark.parametrize("entries", [5, [5], [{"at": "2026"}], [entry("2026") | {"state": []}]])
def test_a_host_that_answers_nonsense_is_an_error_after_the_others(entries: object) -> None:
    """It may be compromised, as may one whose entries have lines that look like those of others."""
    liar = schedule.HostState("web1", last={"event": "result", "entries": entries})
    other = host("web2", entry("2026-01-01", "command", reason="a\n2026-01-02  web3  ann@example  b"))
    merged = record.lines(Outcome((liar, other), None))
    assert next(merged) == "2026-01-01  web2  ann@example  a 2026-01-02  web3  ann@example  b"
    with pytest.raises(PackhorseError, match="web1 answered what no agent of ours does"):
        next(merged)


def test_one_host_needs_no_name() -> None:
    """`local` is named on the command line."""
    assert list(record.lines(Outcome((host("local", entry("2026-01-01")),), None))) == [
        "2026-01-01  ann@example  release 3 (1.0): deployed"
    ]


@pytest.mark.parametrize(
    ("state", "more", "sentence"),
    [
        ("good", {"changed": "code"}, "release 3 (1.0): deployed; changed code"),
        ("good", {"changed": "config A", "reason": "Set A"}, "release 3 (1.0): deployed; Set A"),
        ("phase began", {}, "release 3 (1.0): release phase began"),
        (
            "phase ended",
            {"reason": "ended with status 0"},
            "release 3 (1.0): release phase ended; ended with status 0",
        ),
        ("command", {"reason": "stop"}, "stop"),
        ("of a newer version", {}, "release 3 (1.0): release of a newer version"),
    ],
)
def test_every_entry_is_a_sentence(state: str, more: dict[str, str], sentence: str) -> None:
    """Also one that a newer version wrote."""
    assert record.sentence(entry("2026-01-01", state, **more)) == sentence

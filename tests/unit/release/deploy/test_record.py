"""The promises of release.deploy.record."""

from typing import Any

import pytest

from release.deploy import record, schedule
from release.deploy.controller import Outcome


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

"""What the pipeline says is ahead of what, whatever hosts answer."""

from collections.abc import Mapping

import pytest

from release.inspect import pipeline
from release.inspect.pipeline import HostCell, IndexCell, TargetRow

ROOT = "https://pypi.example.com"
DEV, PROD = f"{ROOT}/company/dev", f"{ROOT}/company/prod"


def serves(version: str, release: int = 7, index: str | None = PROD) -> HostCell:
    return HostCell("web1", version, release, "2026", index)


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ({}, "it gave no answer"),
        ({"event": "error", "message": ["x"], "hint": ""}, "['x']"),
        ({"event": "result"}, None),
        ({"event": "result", "current": 5}, "it answers what no agent of ours does"),
        ({"event": "result", "current": {"release": "7"}}, "it answers what no agent of ours does"),
        ({"event": "result", "current": {"release": 7, "project": "shop"}}, "it runs shop"),
        ({"event": "result", "current": {"release": 7, "project": {}}}, "it runs {}"),
        ({"event": "result", "current": {"release": True}}, "it answers what no agent of ours does"),
        ({"event": "result", "current": {"release": 7, "version": {}, "at": 5, "index": []}}, None),
    ],
)
def test_whatever_a_host_answers_is_a_cell(last: Mapping[str, object], error: str | None) -> None:
    """One that is compromised, or has a talkative login shell, hides no other host."""
    cell = pipeline.cell("web1", last, "app")
    assert cell.error == error
    assert list(pipeline.table([], [TargetRow("prod", PROD, "1.0", [cell])]))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (serves("1.0"), "2.0 is newer"),
        (serves("2.0"), ""),
        (serves("2.0", index=DEV), "from company/dev"),
        (serves("3.0"), "newer than 2.0 on its index"),
        (serves("10.0"), "newer than 2.0 on its index"),
        (serves("2.0", 6), "behind release 7 of the target"),
        (serves("garbage", 7), ""),
        (HostCell("web1"), "nothing was deployed"),
        (HostCell("web1", error="it cannot be reached"), "it cannot be reached"),
        (HostCell("web1", "1.0", 7, stopped=True), "stopped, 2.0 is newer"),
    ],
)
def test_each_host_is_compared_with_its_target_and_its_index(cell: HostCell, said: str) -> None:
    row = TargetRow("prod", PROD, "2.0", [cell, HostCell("web2", "2.0", 7, index=PROD)])
    assert pipeline.remark(row, cell) == said


def test_what_helps_is_a_command() -> None:
    """Promote first, then deploy; nothing where nothing is newer, or nobody knows."""
    indexes = [IndexCell(DEV, "2.0"), IndexCell(PROD, "1.9"), IndexCell(f"{ROOT}/company/eu", None, "down")]
    rows = [
        TargetRow("staging", DEV, "2.0", [serves("1.0", index=DEV)]),
        TargetRow("prod", PROD, "1.9", [serves("1.9"), HostCell("web2", error="down")]),
        TargetRow("new", PROD, "1.9", [HostCell("web3")]),
        TargetRow("unknown", None, None, [serves("1.0")]),
        TargetRow("down", PROD, "1.9", [HostCell("web4", error="down")]),
    ]
    assert list(pipeline.advice("app", indexes, rows)) == [
        "release promote app==2.0 --from company/dev --to company/prod",
        "release deploy staging",
        "release deploy new",
    ]

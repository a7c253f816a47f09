"""Reading the audit log."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.monitoring import audit_log
from mirror.monitoring.audit_log import Filter


def write(path: Path, *events: dict[str, str]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def event(second: int, **more: str) -> dict[str, str]:
    return {"time": f"2026-01-01T00:00:{second:02}.000Z", "action": "upload", "result": "ok", **more}


def seconds(events: Iterator[audit_log.Event]) -> list[int]:
    return [int(each["time"][17:19]) for each in events]


def test_events_of_all_files_come_in_the_order_of_time(tmp_path: Path) -> None:
    """Earlier parts first, .10 before .9; what was done and what was denied together."""
    for number, name in enumerate(("audit.jsonl.10", "audit.jsonl.9", "audit.jsonl.1", "audit.jsonl")):
        write(tmp_path / name, event(2 * number))
    write(tmp_path / "denied.jsonl", event(1), event(5))
    (tmp_path / "audit.jsonl.tmp").write_text("no part of it")
    assert seconds(audit_log.read(tmp_path, Filter())) == [0, 1, 2, 4, 5, 6]
    assert list(audit_log.read(tmp_path / "missing", Filter())) == []


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    """And so is one that is no object."""
    write(tmp_path / "audit.jsonl", event(1))
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('[1]\n{"time": "2026')
    assert seconds(audit_log.read(tmp_path, Filter())) == [1]


def test_filters_hold_together(tmp_path: Path) -> None:
    """Names of projects are compared as PEP 503 has them; who guesses a password is found under its name."""
    write(
        tmp_path / "audit.jsonl",
        event(1, who="a", project="My.Demo"),
        event(2, who="b", project="demo"),
        event(3, claimed="a", result="denied", action="login"),
    )
    assert seconds(audit_log.read(tmp_path, Filter(who="a"))) == [1, 3]
    assert seconds(audit_log.read(tmp_path, Filter(project="my-demo"))) == [1]
    assert seconds(audit_log.read(tmp_path, Filter(action="upload", who="b"))) == [2]
    assert seconds(audit_log.read(tmp_path, Filter(denied=True))) == [3]
    assert seconds(audit_log.read(tmp_path, Filter(since="2026-01-01T00:00:02.000Z"))) == [2, 3]


def test_a_time_is_a_span_or_a_date() -> None:
    """As `release logs` has it: without a zone it is UTC."""
    now = datetime(2026, 1, 8, 12, tzinfo=UTC)
    assert audit_log.moment("1d", now) == "2026-01-07T12:00:00.000Z"
    assert audit_log.moment("90m", now) == "2026-01-08T10:30:00.000Z"
    assert audit_log.moment("2026-01-01") == "2026-01-01T00:00:00.000Z"
    assert audit_log.moment("2026-01-01T01:00+01:00") == "2026-01-01T00:00:00.000Z"
    for wrong in ("", "1y", "yesterday", "-1d"):
        with pytest.raises(ValueError, match="Invalid isoformat"):
            audit_log.moment(wrong)


def test_following_shows_what_comes_also_over_a_new_part(tmp_path: Path) -> None:
    """The end of the earlier part is not lost."""
    path = tmp_path / "audit.jsonl"
    write(path, event(1))

    def begin_anew() -> None:
        write(path, event(3))
        path.rename(tmp_path / "audit.jsonl.1")
        write(path, event(4))

    others = (lambda: write(path, event(2)), lambda: write(tmp_path / "denied.jsonl", event(5)))
    steps = iter((others[0], begin_anew, others[1]))
    found = audit_log.follow(tmp_path, Filter(), sleep=lambda _: next(steps)())
    assert seconds(next(found) for _ in range(5)) == [1, 2, 3, 4, 5]


def test_a_line_for_people_quotes_what_has_blanks() -> None:
    """Who made up a name with "who=root" in it must not be taken for root."""
    line = audit_log.as_line(event(1, who="me", project="demo", file="a who=root"))
    assert line.startswith("2026-01-01T00:00:01.000Z  ok      upload         me ")
    assert line.endswith('project=demo file="a who=root"')

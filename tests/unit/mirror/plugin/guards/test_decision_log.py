"""The log of decisions: a line for each change, within a limit, also over restarts."""

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.plugin.guards.decision_log import DecisionLog
from mirror.plugin.policy.evaluation import Denial

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
YOUNG = Denial("minimum_age", "company/prod", "not yet 7d old")


def log(folder: Path, largest: int = 100_000) -> DecisionLog:
    return DecisionLog(folder / "decisions", lambda: NOW, largest)


def test_a_line_is_written_when_a_decision_changes(tmp_path: Path) -> None:
    """Pages are rendered anew at each start, and for each upload."""
    for _ in range(2):  # the second one is a restart
        decisions = log(tmp_path)
        for _ in range(2):
            decisions.note("company/prod", "demo", [("demo-1.zip", YOUNG), ("demo-2.zip", YOUNG)])
            decisions.note("company/prod", "fine", [])
    (line,) = log(tmp_path).read("company/prod")
    assert {**line, "key": ""} == {
        "at": "2024-01-31T12:00:00Z",
        "on": "company/prod",
        "project": "demo",
        "denied": [
            {
                "rule": "minimum_age",
                "policy_of": "company/prod",
                "reason": "not yet 7d old",
                "count": 2,
                "files": ["demo-1.zip", "demo-2.zip"],
            }
        ],
        "key": "",
    }
    assert log(tmp_path).note("company/prod", "demo", [("demo-2.zip", YOUNG)])
    assert log(tmp_path).note("company/prod", "demo", [])
    assert [len(line["denied"]) for line in log(tmp_path).read("company/prod")] == [1, 1, 0]
    assert log(tmp_path).read("company/dev") == []


def test_a_log_has_a_largest_size_and_a_cut_line_is_skipped(tmp_path: Path) -> None:
    """Whoever asks for a million files must not fill the disk."""
    decisions = log(tmp_path, 2000)
    for number in range(100):
        decisions.note("a/b", f"demo{number}", [("demo-1.zip", YOUNG)])
    files = sorted((tmp_path / "decisions").iterdir())
    assert [path.name for path in files] == ["a%2Fb.jsonl", "a%2Fb.jsonl.1"]
    assert all(path.stat().st_size <= 2000 for path in files)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    files[0].write_bytes(files[0].read_bytes()[:-10])
    assert log(tmp_path).read("a/b")[-1]["project"] == "demo98"


def test_a_look_alike_is_logged_without_a_denial(tmp_path: Path) -> None:
    """It is reported before anybody denies it."""
    assert log(tmp_path).note("a/b", "billings", [], "billing")
    assert not log(tmp_path).note("a/b", "billings", [], "billing")
    assert json.loads((tmp_path / "decisions" / "a%2Fb.jsonl").read_text())["looks_like"] == "billing"


def test_a_report_is_a_line_when_its_reason_is_another(tmp_path: Path) -> None:
    """Of a file that is listed all the same: the next vulnerability of the same file is news."""
    decisions = log(tmp_path)
    for reason, is_new in (("has A-1", True), ("has A-1", False), ("has A-2", True)):
        found = Denial("vulnerabilities", "", reason)
        assert decisions.note("a/b", "demo", [], "", [("demo-1.zip", found)]) is is_new
    assert decisions.note("a/b", "demo", [])
    first, _, last = decisions.read("a/b")
    assert first["reported"] == [
        {"rule": "vulnerabilities", "policy_of": "", "reason": "has A-1", "count": 1, "files": ["demo-1.zip"]}
    ]
    assert (first["denied"], last["denied"], "reported" in last) == ([], [], False)


def test_a_decision_that_a_full_disk_refuses_is_logged_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the disk takes a part of the line: nothing of it stays."""
    decisions, write = log(tmp_path), os.write
    decisions.note("a/b", "first", [("first-1.zip", YOUNG)])
    room = [4]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", full)
    assert not decisions.note("a/b", "demo", [("demo-1.zip", YOUNG)])
    monkeypatch.undo()
    assert decisions.note("a/b", "demo", [("demo-1.zip", YOUNG)])
    assert not decisions.note("a/b", "demo", [("demo-1.zip", YOUNG)])
    assert [line["project"] for line in decisions.read("a/b")] == ["first", "demo"]


def test_what_a_power_cut_has_left_of_a_line_spoils_no_other(tmp_path: Path) -> None:
    """The next line would be part of it."""
    log(tmp_path).note("a/b", "first", [("first-1.zip", YOUNG)])
    (path,) = (tmp_path / "decisions").iterdir()
    path.write_bytes(path.read_bytes() + b'{"at": "20')
    log(tmp_path).note("a/b", "demo", [("demo-1.zip", YOUNG)])
    assert [line["project"] for line in log(tmp_path).read("a/b")] == ["first", "demo"]


def test_no_file_appears_without_a_decision(tmp_path: Path) -> None:
    """Most indexes have no policies."""
    log(tmp_path).note("a/b", "demo", [])
    assert list(tmp_path.iterdir()) == []

"""What becomes a line of the audit log."""

import json
from pathlib import Path
from typing import Any

import pytest

from mirror.plugin.audit import events
from mirror.plugin.audit.events import BURST, DENIED, DONE, LONGEST, SECONDS, AuditLog
from mirror.plugin.metrics import counters


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the events of this test go."""
    monkeypatch.setattr(events, "_log", AuditLog(tmp_path, 1_000_000, 2))
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_a_text_of_a_stranger_is_cut_and_stays_in_its_line(folder: Path) -> None:
    """Names of files, projects and users are whatever a client sends."""
    events.record("upload", "ok", who="me", file='a\n{"action": "fake"}\r\u2028\x1b[31m\ud800' + "x" * 10_000)
    content = (folder / DONE).read_bytes()
    assert content.count(b"\n") == 1
    assert content.isascii()
    assert min(content.strip()) >= 0x20
    (event,) = lines(folder / DONE)
    assert len(event["file"]) == LONGEST


def test_what_is_denied_cannot_push_out_what_was_done(folder: Path) -> None:
    """An attacker makes as many denials as they like; theirs is the other file."""
    events.record("upload", "ok", who="me")
    events.record("upload", "failed", who="me", status=409)
    events.record("change", "failed", status=400)
    events.denied("login", "login", **{"from": "192.0.2.1"})
    events.record("upload", "ok", **{"from": "192.0.2.1"})  # to an index of everybody
    events.record("prune", "ok")  # by the server itself
    assert [event["result"] for event in lines(folder / DONE)] == ["ok", "failed", "ok"]
    assert [event["result"] for event in lines(folder / DENIED)] == ["failed", "denied", "ok"]


def test_ten_thousand_denials_of_one_client_are_few_lines_that_count_the_rest(tmp_path: Path) -> None:
    """Those of others are all there."""
    now = [0.0]
    log = AuditLog(tmp_path, 1_000_000, 2, clock=lambda: now[0])
    for _ in range(10_000):
        log.write({"from": "192.0.2.1"}, denied=True)
    log.write({"from": "192.0.2.2"}, denied=True)
    assert len(lines(tmp_path / DENIED)) == BURST + 1
    now[0] += SECONDS
    log.write({"from": "192.0.2.1"}, denied=True)
    assert lines(tmp_path / DENIED)[-1] == {"from": "192.0.2.1", "left_out_before": 10_000 - BURST}


def test_the_addresses_of_one_ipv6_network_are_one_client(tmp_path: Path) -> None:
    """Everybody has 2^64 of them, and each had a burst of its own."""
    log = AuditLog(tmp_path, 1_000_000, 2, clock=lambda: 0.0)
    for number in range(1000):
        log.write({"from": f"2001:db8::{number:x}"}, denied=True)
    log.write({"from": "2001:db8:0:1::1"}, denied=True)
    assert len(lines(tmp_path / DENIED)) == BURST + 1


def test_a_disk_that_is_full_harms_nobody_and_is_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload is stored: its answer must not be an error."""
    lost = counters.REGISTRY.get_sample_value("packhorse_mirror_audit_lost_total") or 0
    (folder / DONE).mkdir()
    told: list[str] = []
    monkeypatch.setattr(events, "_listeners", [lambda event: told.append(event["action"])])
    events.record("upload", "ok", who="me")
    assert counters.REGISTRY.get_sample_value("packhorse_mirror_audit_lost_total") == lost + 1
    assert told == ["upload"]


def test_denials_are_counted_by_rule(folder: Path) -> None:
    """Also without a log."""
    count = counters.DENIALS.labels("minimum_age")
    before = count._value.get()
    events.denied("download", "minimum_age")
    assert count._value.get() == before + 1
    assert folder.exists()

"""The promises of release.host.disk.journal."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from release.host.disk import journal
from release.host.disk.journal import FAILED, GOOD, Entry


def entry(release: int, state: str = GOOD) -> Entry:
    return Entry(release, state, "1.0", "ann@example", "2026-01-02T03:04:05+00:00")


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    """The journal is the only truth about the past."""
    path = tmp_path / "journal.jsonl"
    assert journal.read(path) == []
    journal.append(path, entry(1))
    journal.append(path, entry(2, FAILED))
    assert journal.read(path) == [entry(1), entry(2, FAILED)]


def test_a_line_torn_by_a_power_cut_is_as_if_never_written(tmp_path: Path) -> None:
    """Neither may it break every later command, nor swallow the line after it."""
    path = tmp_path / "journal.jsonl"
    journal.append(path, entry(1))
    with path.open("ab") as file:
        file.write(b'{"release": 2, "sta')
    assert journal.read(path) == [entry(1)]
    journal.append(path, entry(3))
    assert journal.read(path) == [entry(1), entry(3)]


def test_a_journal_of_an_older_packhorse_is_read(tmp_path: Path) -> None:
    """Its entries do not say which artifact it was."""
    path = tmp_path / "journal.jsonl"
    old = {key: value for key, value in asdict(entry(1)).items() if key != "artifact"}
    path.write_text(json.dumps(old) + "\n")
    assert journal.read(path) == [entry(1)]


def test_a_number_is_never_used_twice() -> None:
    """Pruned releases are only in the journal, half-made ones only on disk."""
    assert journal.next_number([], []) == 1
    assert journal.next_number([entry(1), entry(7)], [2]) == 8
    assert journal.next_number([entry(1)], [1, 9]) == 10


@pytest.mark.parametrize(
    ("entries", "current", "keep", "gone"),
    [
        pytest.param([entry(n) for n in range(1, 6)], 5, 2, [1, 2, 3], id="only so many good ones"),
        pytest.param([entry(n) for n in range(1, 6)], 5, 1, [1, 2, 3], id="the one to go back to stays"),
        pytest.param([entry(n) for n in range(1, 6)], 2, 1, [3, 4], id="the current one stays, however old"),
        pytest.param(
            [entry(1), *(entry(n, FAILED) for n in range(2, 6)), entry(6)],
            6,
            5,
            [2, 3],
            id="failed ones have a count of their own",
        ),
        pytest.param([entry(1), entry(2), entry(2, FAILED)], 1, 5, [], id="a later word counts"),
    ],
)
def test_releases_go_by_recorded_state(
    entries: list[Entry], current: int, keep: int, gone: list[int]
) -> None:
    """By time stamps, failed releases push out good ones: people have lost their way back like that."""
    assert journal.prunable(entries, current, keep) == gone

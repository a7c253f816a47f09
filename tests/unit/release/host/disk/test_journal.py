"""The promises of release.host.disk.journal."""

import json
from concurrent.futures import ThreadPoolExecutor
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


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    """It has the command lines of `release run`; earlier versions let every local user read it."""
    path = tmp_path / "journal.jsonl"
    path.touch(0o644)
    journal.append(path, entry(1))
    assert path.stat().st_mode & 0o777 == 0o600


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


def test_commands_are_no_outcomes() -> None:
    """A scale or a stop neither uses up a number, nor hides what became of the release that it was about."""
    before = [entry(1), entry(2), entry(3), entry(4, FAILED)]
    noted = [*before, *(entry(number, journal.COMMAND) for number in range(5))]
    assert journal.next_number(noted, []) == journal.next_number(before, [])
    assert journal.outcomes(noted) == journal.outcomes(before)
    assert journal.last_good(noted) == 3
    assert journal.prunable(noted, 3, 1) == journal.prunable(before, 3, 1) == [1]


def test_a_command_is_noted_with_who_and_when(tmp_path: Path) -> None:
    """Before the first release, too; an earlier agent reads such an entry, as it has no field of its own."""
    path = tmp_path / "journal.jsonl"
    journal.note(path, "scale web=3", "ann@example", None)
    journal.note(path, "stop", "bob@example", 7)
    noted = [(each.state, each.release, each.by, each.reason) for each in journal.read(path)]
    assert noted == [("command", 0, "ann@example", "scale web=3"), ("command", 7, "bob@example", "stop")]
    assert all(each.at for each in journal.read(path))


def test_two_commands_append_at_the_same_time(tmp_path: Path) -> None:
    """A one-off process begins beside a deploy: the outcome of that must not be lost."""
    path = tmp_path / "journal.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: journal.append(path, entry(n)), range(1, 201)))
    assert sorted(each.release for each in journal.read(path)) == list(range(1, 201))


def test_a_trial_is_shown_until_it_has_ended() -> None:
    """Then it is two lines about one thing."""
    trial = entry(2, journal.TRIAL)
    assert journal.shown([entry(1), trial]) == [entry(1), trial]
    assert journal.shown([entry(1, journal.TRIAL), entry(1), trial, entry(0, journal.COMMAND)]) == [
        entry(1),
        trial,
        entry(0, journal.COMMAND),
    ]

"""Completion says what is known at once, and nothing where that takes longer or fails."""

import json
from pathlib import Path

import pytest

from release.deploy import completion


def test_good_releases_of_this_machine_come_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that failed can be gone back to, nor one that was pruned."""
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    (tmp_path / "src").mkdir()
    assert completion.releases(tmp_path / "src", "local") == []
    states = [(1, "good"), (2, "trial"), (2, "failed"), (3, "trial"), (3, "good"), (4, "phase began")]
    lines = [json.dumps({"release": number, "state": state}) for number, state in states]
    journal = tmp_path / "apps" / "src" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("\n".join(['ut": 1}', "[]", "{}", *lines, '{"release": 9, "sta']))
    for number in (2, 3, 4):
        (journal.parent / "releases" / str(number)).mkdir(parents=True)
    assert completion.releases(tmp_path / "src", "local") == [3]
    assert completion.releases(tmp_path / "src", None) == []

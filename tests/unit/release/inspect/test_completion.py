"""Completion says what is known at once, and nothing where that takes longer or fails."""

import json
from pathlib import Path

import pytest

from release.agents import ssh
from release.inspect import completion


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


def test_a_host_that_answers_nonsense_completes_what_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback in the middle of a line that somebody types."""
    (tmp_path / "release.toml").write_text('[targets.production]\nhosts = ["web1"]\n')
    entries = ['{"release": 3, "state": "good"}', '{"release": 1e400, "state": "good"}']
    text = "\n".join([*entries, "9" * 5000, "3"])
    monkeypatch.setattr(ssh.SshDestination, "run_if_connected", lambda *_: text)
    assert completion.releases(tmp_path, "production") == [3]

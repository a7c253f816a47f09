"""The promises of release.host.commands.deploy.release_phase that need no process."""

from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.deploy import release_phase
from release.host.disk import journal
from release.host.disk.journal import PHASE_BEGAN, PHASE_ENDED, Entry
from tests.support.release_folders import a_deploy, a_layout


def entry(release: int, state: str) -> Entry:
    return Entry(release, state, f"{release}.0", "ann@example", "2026-01-02T03:04:05+00:00")


def test_only_a_beginning_without_an_end_was_cut_off() -> None:
    """What became of the release afterwards says nothing about its phase."""
    began, ended = entry(2, PHASE_BEGAN), entry(2, PHASE_ENDED)
    assert release_phase.interrupted([entry(1, journal.GOOD)]) is None
    assert release_phase.interrupted([began, entry(2, journal.FAILED)]) == began
    assert release_phase.interrupted([began, ended]) is None
    assert release_phase.interrupted([began, ended, entry(3, PHASE_BEGAN)]) == entry(3, PHASE_BEGAN)


def test_nothing_goes_on_after_one_unless_somebody_says_so(tmp_path: Path) -> None:
    """What it has done to the database is for a human to find out."""
    layout = a_layout(tmp_path)
    change = a_deploy(layout)
    release_phase.check(layout, change)
    journal.append(layout.journal, entry(2, PHASE_BEGAN))
    with pytest.raises(PackhorseError) as caught:
        release_phase.check(layout, change)
    assert "The release phase of 2.0 (release 2) began at 2026-01-02" in caught.value.message
    assert caught.value.hint.endswith("--retry-release.")
    release_phase.check(layout, replace(change, retry_release=True))

"""Tests of the advisories that a server uses."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.advisories import database
from mirror.advisories.matching import Advisory, Event
from mirror.plugin.guards.known_vulnerabilities import VulnerabilityFile
from packhorse.errors import PackhorseError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RANGE: tuple[tuple[Event, ...], ...] = ((("introduced", "0"),),)


def test_a_new_file_counts_at_once_and_a_lost_one_is_an_error(tmp_path: Path) -> None:
    """What was remembered of the old file is not used any more, also of projects without advisories."""
    path = tmp_path / "advisories.sqlite"
    file = VulnerabilityFile(path)
    with pytest.raises(PackhorseError, match="no advisories yet"):
        file.of("demo")
    database.write(path, {"demo": [Advisory("A-1", ranges=RANGE)]}, NOW)
    assert [each.id for each in file.of("demo").find("1.0")] == ["A-1"]
    assert file.of("demo") is file.of("demo")
    assert not file.of("other")
    before = file.version()
    database.write(path, {"other": [Advisory("A-2", ranges=RANGE)]}, NOW)
    assert file.version() != before
    assert not file.of("demo")
    assert file.of("other").find("1.0")
    path.unlink()
    with pytest.raises(PackhorseError, match="no advisories yet"):
        file.of("other")

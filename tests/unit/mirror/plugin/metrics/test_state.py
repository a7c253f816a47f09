"""What is measured when somebody asks."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mirror.last_refresh import LastRefresh
from mirror.plugin.metrics.state import SCAN_EVERY, Sizes, StateCollector


def test_sizes_are_of_all_files_below_and_are_scanned_seldom(tmp_path: Path) -> None:
    """A scan reads every folder of the cache: its share of the time is bounded."""
    now = [0.0]
    (tmp_path / "files/a/b").mkdir(parents=True)
    (tmp_path / "files/one").write_bytes(b"1" * 10)
    (tmp_path / "files/a/b/two").write_bytes(b"1" * 20)
    (tmp_path / "files/a/link").symlink_to("/usr")
    sizes = Sizes({"files": tmp_path / "files", "gone": tmp_path / "gone"}, clock=lambda: now[0])
    sizes.scan()
    assert sizes.found()["files"] in range(30, 40)  # a link has the length of its text
    assert sizes.found()["gone"] == 0
    assert sizes._next == SCAN_EVERY


def values(
    xom: Any,  # noqa: ANN401 (a fake)
    confirmed: list[float],
    folder: Path,
    refreshed: LastRefresh | None = None,
) -> dict[str, float]:
    collector = StateCollector(xom, folder, Sizes({}), lambda: iter(confirmed), lambda: refreshed)
    return {
        family.name.removeprefix("packhorse_mirror_"): family.samples[0].value
        for family in collector.collect()
        if family.samples
    }


def fake(*, replica: bool, **more: object) -> Any:  # noqa: ANN401 (a fake)
    keyfs = SimpleNamespace(get_current_serial=lambda: 90)
    return SimpleNamespace(keyfs=keyfs, is_replica=lambda: replica, **more)


def test_a_primary_knows_how_far_the_worst_of_its_replicas_is_behind(tmp_path: Path) -> None:
    """And how long ago the most silent of them asked; one that waits for changes asks now."""
    replicas = {
        "a": {"serial": 90, "in-request": True, "last-request": 0.0},
        "b": {"serial": 40, "in-request": False, "last-request": time.time() - 100},
    }
    shown = values(fake(replica=False, polling_replicas=replicas), [time.time() - 50, time.time()], tmp_path)
    assert (shown["replicas"], shown["replica_lag_serials"]) == (2, 50)
    assert 100 <= shown["replica_silence_seconds"] < 160
    assert 50 <= shown["oldest_page_seconds"] < 110
    assert shown["disk_free_bytes"] <= shown["disk_size_bytes"]


def test_a_replica_knows_what_it_lacks(tmp_path: Path) -> None:
    """Nothing is said before it has heard of its primary: a zero would be a lie."""
    thread = SimpleNamespace(get_primary_serial=lambda: None, update_from_primary_at=None)
    assert "replica_lag_serials" not in values(fake(replica=True, replica_thread=thread), [], tmp_path)
    thread = SimpleNamespace(get_primary_serial=lambda: 97, update_from_primary_at=time.time() - 5)
    shown = values(fake(replica=True, replica_thread=thread), [], tmp_path)
    assert shown["replica_lag_serials"] == 7
    assert 5 <= shown["replica_silence_seconds"] < 65


def test_the_last_refresh_is_measured_when_there_was_one(tmp_path: Path) -> None:
    """An alert says that none has succeeded for days; of a mirror without a timer, nothing is said."""
    primary = fake(replica=False, polling_replicas={})
    names = ("timestamp_seconds", "success", "new_versions")

    def shown(refreshed: LastRefresh | None) -> list[float | None]:
        found = values(primary, [], tmp_path, refreshed)
        return [found.get(f"last_refresh_{name}") for name in names]

    assert shown(None) == [None, None, None]
    assert shown(LastRefresh(1000, 5, 2)) == [1000, 1, 2]
    assert shown(LastRefresh(2000, problem="The mirror does not serve.")) == [2000, 0, 0]


def test_the_next_refresh_is_due_by_its_timer(tmp_path: Path) -> None:
    """Be that hours or a week later; without a timer, no time is told, and no alert waits for one."""
    primary = fake(replica=False, polling_replicas={})
    weekly = values(primary, [], tmp_path, LastRefresh(1000, next=605_800.0))
    assert weekly["next_refresh_timestamp_seconds"] == 605_800
    assert "next_refresh_timestamp_seconds" not in values(primary, [], tmp_path, LastRefresh(1000))

"""The promises of release.host.commands.deploy.prune."""

import os
import subprocess
import sys
from pathlib import Path

from release.host.commands.deploy import prune
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import process_table
from release.host.runtime import oneoff
from tests.support.release_folders import a_layout, a_session, add_release


def four(folder: Path) -> Layout:
    """Releases 1 to 4, the last of which serves."""
    layout = a_layout(folder)
    for number in (1, 2, 3, 4):
        add_release(layout, number)
    releases.switch(layout, 4)
    return layout


def test_the_last_good_ones_stay_and_the_one_to_go_back_to(tmp_path: Path) -> None:
    """Whatever `keep` says: without the one before there is no rollback."""
    layout = four(tmp_path)
    prune.prune(layout, 1, a_session())
    assert releases.numbers(layout) == [3, 4]


def test_a_release_with_a_live_process_stays(tmp_path: Path) -> None:
    """Its files would vanish below it, in the middle of a long task."""
    layout = four(tmp_path)
    environment = {**os.environ, process_table.MARK: str(layout.release(2))}
    script = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        prune.prune(layout, 1, a_session())
        child.kill()
    assert releases.numbers(layout) == [2, 3, 4]


def test_files_that_a_kept_release_was_installed_from_stay(tmp_path: Path) -> None:
    """A rollback needs no index; what only pruned releases had goes."""
    layout = four(tmp_path)
    for digest in ("0" * 64, "9" * 64):
        (layout.files / digest).mkdir()
        (layout.files / digest / "shop.whl").touch()
    prune.prune(layout, 1, a_session())
    assert [folder.name for folder in layout.files.iterdir()] == ["0" * 64]


def test_what_cannot_be_removed_is_a_warning(tmp_path: Path) -> None:
    """The new release serves: a folder too many makes it no failure."""
    layout = four(tmp_path)
    layout.releases.joinpath(".trash-1").mkdir()
    layout.releases.joinpath(".trash-1", "in the way").touch()
    told: list[dict[str, object]] = []
    prune.prune(layout, 1, a_session(emit=told.append))
    assert [event["event"] for event in told] == ["warning"]
    assert "Release 1 could not be removed" in str(told[0]["text"])
    assert releases.numbers(layout) == [1, 3, 4]


def test_a_release_that_a_one_off_holds_stays_until_its_end(tmp_path: Path) -> None:
    """On servers the deploying user cannot see whose processes are whose: the lock says it."""
    layout = four(tmp_path)
    held = oneoff.hold(layout.release(2))
    assert held
    told: list[dict[str, object]] = []
    prune.prune(layout, 1, a_session(emit=told.append))
    assert releases.numbers(layout) == [2, 3, 4]
    assert "Release 2 stays" in str(told[0]["text"])
    os.close(held)
    prune.prune(layout, 1, a_session())
    assert releases.numbers(layout) == [3, 4]
